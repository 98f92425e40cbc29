def test_it(site):
    b = site.signed_in()
    html = b.page()
    open("/tmp/i8c/overview.html","w").write(html)
    html = b.session()
    open("/tmp/i8c/session.html","w").write(html)
    for p in ("sessions","findings","approvals","proposals"):
        open(f"/tmp/i8c/{p}.html","w").write(b.page(f"/console/{p}"))
    got = b.press(html, "revoke")
    print(got.status_code, got.headers, got.text[:300])
