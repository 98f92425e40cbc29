import json
from itertools import pairwise
from typing import Any

import pytest
from cost import cost
from hypothesis import given
from hypothesis import strategies as st

from guardian.bootstrap.judgement import fingerprinter
from guardian.domain.signal import ParentFact, ParentStatus, Signal
from guardian.errors import ConfigurationError
from guardian.signals.object_mismatch import ObjectMismatch
from guardian.signals.words.identifiers import folded as folded_text
from guardian.signals.words.identifiers import kind_of
from guardian.signals.words.named_objects import named_objects


@pytest.fixture
def judged(observe: Any, folded: Any) -> Any:
    """What the signal says of one call under a purpose."""

    def judged(
        purpose: str, tool: str, arguments: Any, *, resource: Any = None, constraints: Any = None, **options: Any
    ) -> Signal:
        seen = observe(
            envelope__purpose=purpose,
            envelope__resource_constraints=constraints or {},
            action__tool=tool,
            action__arguments=arguments,
            action__resource=resource,
        )
        return folded(ObjectMismatch(**options), [seen])[1][0]

    return judged


ORDER = "Refund order 5512 of customer 88"
ONE = 0.825 / 0.95
FIRST = pytest.approx(ONE)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("refund_order", {"order_id": 6620}),
        ("refund_order", {"order_id": "#6620"}),
        ("refund_order", {"order_id": 6620.0}),
        ("refund_order", {"orderNumber": "６６２０"}),
        ("refund_order", {"orderNumber": "٦٦\u200b٢٠"}),
        ("refund_order", {"orderid": "0006620"}),
        *(
            pytest.param("refund_order", {"order_id": told}, id=name)
            for name, told in {
                "spaces behind": f"6620{' ' * 500}",
                "tabs in front": "\t" * 500 + "6620",
                "zeros in front": "0" * 500 + "6620",
                "zeros behind a point": f"6620.{'0' * 500} ",
                "wide zeros in front": "\uff10" * 500 + "6620",
                "unseen signs between": f"66{chr(0x200B) * 500}20",
                "unseen signs and spaces": f" {chr(0x200B)}" * 500 + "6620" + f" {chr(0x200B)}" * 500,
            }.items()
        ),
        ("refund_order", {"order_id": "ORD-6620"}),
        ("refund_order", {"order": "6620"}),
        ("refund_order", {"order": {"id": 6620}}),
        ("refund_order", {"orders": [{"id": 6620, "qty": 1}]}),
        ("refund_order", {"order_ids": [6620, 6621]}),
        *(("refund_order", {name: 6620}) for name in ("order_ids[0]", "order_ids.0", "orders[0]", "order_id[eq]")),
        ("refund_order", {"order_id__in": [6620]}),
        ("refund_order", {"order_id": "6620,6621"}),
        ("refund_order", {"order_ids": "#6620; #6621"}),
        ("refund_order", {"order_id": "6620.0"}),
        ("orders.cancel", {"id": 6620}),
        ("orderRefund", {"number": "6620"}),
        ("refund_order", {"order_id": 5512, "customer_id": 91}),
        ("refund_order", {"amount": 20, "meta": {"customer": {"ref": "91"}}}),
    ],
)
def test_another_object_of_the_kind_that_the_purpose_names_is_told(judged: Any, tool: str, arguments: Any) -> None:
    found = judged(ORDER, tool, arguments)
    assert found.value == FIRST
    assert not found.silent


def test_one_made_at_random_is_like_another(judged: Any) -> None:
    purpose = "Cancel subscription 3f2a91bc-1d2e-4f5a-8b9c-0d1e2f3a4b5c"
    assert judged(purpose, "cancel", {"subscription_id": "3F2A91BC1D2E4F5A8B9C0D1E2F3A4B5C"}).value == 0.0
    assert judged(purpose, "cancel", {"subscription_id": "7a9b1c2d-3e4f-4a5b-9c8d-1e2f3a4b5c6d"}).value == FIRST
    assert judged(purpose, "cancel", {"subscription_id": "sub_1024"}).silent


@pytest.mark.parametrize(
    "arguments",
    [
        {"order_id": 5512},
        {"order_id": "ORD-5512"},
        {"order_id": "0005512"},
        {"order_id": "#5512", "customer_id": 88},
        {"order_ids": [5512, 6620]},
        {"order_ids": "6620, 5512"},
        {"order_id": "5512.0"},
        {"from_order": 5512, "to_order": 6620},
    ],
)
def test_what_the_purpose_names_fits(judged: Any, arguments: Any) -> None:
    found = judged(ORDER, "refund_order", arguments)
    assert (found.value, found.silent, found.reason) == (0.0, False, "it touches what the purpose names")


@pytest.mark.parametrize(
    ("purpose", "tool", "arguments"),
    [
        ("Refund the last order of Ada", "refund_order", {"order_id": 6620}),  # names none
        (ORDER, "refund_order", {"order_id": "gid://shop/Order/998877"}),  # another register
        (ORDER, "refund_order", {"order_id": "8d7f3c1a-6620"}),
        (ORDER, "refund_order", {"order_id": "6,620"}),  # one or two
        (ORDER, "refund_order", {"order_id": "6620.50"}),
        (ORDER, "refund_order", {"order_id": True}),
        (ORDER, "refund_order", {"order_id": 10**60}),
        (ORDER, "refund_order", {"order_id": "6620" * 200}),
        (ORDER, "refund_order", {"order_id": f"6620{' ' * 500}{'a' * 500}"}),
        (ORDER, "refund_order", {"order_id": float("1e300")}),
        (ORDER, "refund_order", {"amount": 6620}),  # no object
        (ORDER, "rooms.book", {"id": 6620}),  # of another kind
        (ORDER, "refund_order", {"order_id": "all"}),
        ("Seat the guests in room 12", "seat", {"room": 14}),  # a short number under a name that does not identify
        (
            "You guess that the order number is #W5512, but you are not sure",
            "orders.return",
            {"order_id": "#W6620"},
        ),
        ("Modify the laptop to item 9844888101, change the watch too", "modify", {"item_ids": ["1355937109"]}),
        ("Close order 5512 and all related orders", "orders.close", {"order_id": 6620}),
        ("Close order 5512 and any other order of it", "orders.close", {"order_id": 6620}),
        ("Close order 5512 and following", "orders.close", {"order_id": 6620}),
        ("Close orders 5512, and following", "orders.close", {"order_id": 6620}),
        ("Close orders 5512 and all the following", "orders.close", {"order_id": 6620}),
        ("Close orders 5512, 5513, and later", "orders.close", {"order_id": 6620}),
        ("Close orders 5512 ff.", "orders.close", {"order_id": 6620}),
        ("Close orders 5512 + later", "orders.close", {"order_id": 6620}),
        ("Close order 5512 plus those following", "orders.close", {"order_id": 6620}),
        ("Close order 5512 and also its subsequent", "orders.close", {"order_id": 6620}),
        ("Close tickets 100 to 120", "tickets.close", {"ticket_id": 110}),
        ("Close tickets 100-120", "tickets.close", {"ticket_id": 1101}),
        ("Order 20 large pizzas", "orders.track", {"order_id": 77}),
        ("Order 1000 flyers", "orders.track", {"order_id": 7712}),
        ("Read page 120 of the report", "read", {"page": 121}),
        (
            "Book the meeting at 10:30 on 2026-05-12, budget 400 EUR",
            "book",
            {"meeting_id": 31, "on": "2026-05-13"},
        ),
        # it means others than those that it names
        ("Rebook flight LH441 to 10 am", "flights.book", {"flight_number": "LH443"}),
        ("Move Ada from flight LH441 to a better one", "flights.book", {"flight_number": "LH443"}),
        ("Move Ada from seat 12A to a window seat", "seats.change", {"seat_id": "14F"}),
        ("Move appointment 4471 of patient 7731 to a later one", "appointments.book", {"appointment_id": 4499}),
        ("Check order 5512 and the previous order", "orders.get", {"order_id": 5511}),
        ("Find duplicates of ticket 4411", "tickets.get", {"ticket_id": 4399}),
        ("Clone order 5512", "orders.update", {"order_id": 6620}),
        ("Order 5512 was lost; reorder it", "orders.submit", {"order_id": 5613}),
        ("Renew policy 70031", "policies.issue", {"policy_id": "70412"}),
        ("Keep order 5512 and cancel the rest", "orders.cancel", {"order_id": 6620}),
        ("Cancel everything except order 5512", "orders.cancel", {"order_id": 6620}),
        # a disease, a time, an age, a year, a date, a phone and a card are no objects
        ("Track patients with covid-19 on ward 7", "patients.get", {"patient_id": "P-100234"}),
        ("The order is 20 minutes late", "orders.track", {"order_id": 77}),
        ("Schedule the meeting 10-11 tomorrow", "meetings.create", {"meeting_id": 4711}),
        ("Discharge the patient, 45, after the check", "patients.discharge", {"patient_id": 123}),
        ("Discharge the patient (45) after the check", "patients.discharge", {"patient_id": 123}),
        ("review_contract_2025", "contracts.read", {"contract_id": 7781}),
        ("weekly_report_2026_05_12", "reports.publish", {"report_id": 4711}),
        ("Call customer 0170 1234567 back", "customers.get", {"customer_id": 4711}),
        ("Call the customer +49 30 123456 back", "customers.get", {"customer_id": 47}),
        ("Charge card 4111 1111 1111 1111", "cards.charge", {"card_id": 4821}),
        # nor are versions, ports, errors, limits, ratings and sums
        ("Upgrade react 17.0.2 to the newest", "npm.install", {"dependencies": {"react": "18.2.0"}}),
        ("Restart the service on port 8080", "net.check", {"port": 5432}),
        ("Explain error 404 of the shop", "logs.search", {"error_code": 500}),
        ('{"task": "search", "max_results": 100}', "search", {"max_results": 200}),
        ("Run the load test with users=200", "load.run", {"users": 100}),
        ("Block the card *4471", "cards.block", {"card_id": 9034}),
        ("Play track 12 of the album", "music.play", {"track_id": 99}),
        ("Set the urgency 1 of the outage", "tickets.update", {"urgency_id": 3}),
        ("Book hotel 4 star in Rome", "hotels.book", {"hotel_id": 12}),
        ("Give the customer the 30 vouchers that she won", "vouchers.give", {"customer_id": 88}),
        ("Pay USD 1200 to the plumber", "pay", {"usd": 1100}),
    ],
)
def test_where_nothing_can_be_compared_it_is_silent(judged: Any, purpose: str, tool: str, arguments: Any) -> None:
    found = judged(purpose, tool, arguments)
    assert (found.value, found.silent) == (0.0, True)


@pytest.mark.parametrize(
    ("purpose", "kinds"),
    [
        ("handle_refund_for_order_5512", {"order": {"5512"}}),
        ("order_id=5512; customerId: 88", {"order": {"5512"}, "customer": {"88"}}),
        ("Look at orders 5512, 5513 and (no. 5514).", {"order": {"5512", "5513", "5514"}}),
        ("close claim #Y93433 of user u_991", {"claim": {"#Y93433"}, "user": {"u_991"}}),
        ("move 50 EUR from account 1234567 to 7654321", {"account": {"1234567", "7654321"}}),
        (
            "The customer (id 4188) wants order 55120; her order has 2 items",
            {"customer": {"4188"}, "order": {"55120"}},
        ),
        ("One order is late: refund order 55120", {"order": {"55120"}}),
        ("You have an order. Its order number is 55120, exchange the red one", {"order": {"55120"}}),
        ("Update policy 12345. Include the following domains", {"policy": {"12345"}}),
        ("Ticket 4411 has a twin; the case number is 77-1024", {"ticket": {"4411"}, "case": {"77-1024"}}),
        ("pay invoice INV-2024-0012, commande n° 8", {"invoice": {"INV-2024-0012"}, "commande": {"8"}}),
        ("review PR #123 at 10:30 on 2026-05-12", {"pr": {"#123"}}),
        # one of which a successor is made binds no other
        ("Customer 88 wants order 5512 replaced because it arrived broken", {"customer": {"88"}}),
        ("Send a replacement for order 5512 to customer 88", {"customer": {"88"}}),
        ("Order 5512 arrived broken; send a replacement kettle", {}),
        ("Order 5512 was lost in the mail; reorder it for customer 88", {"customer": {"88"}}),
        ("Order 5512 was lost, the customer wants it replaced", {}),
        ("Order 5512 was lost. It should be replaced!", {}),
        ("Re-run failed job 8812 until it passes", {}),
        ("Renew policy 70031 of customer 88 for another year", {"customer": {"88"}}),
        ("renew_policy_70031", {}),
        ("Policy 70031 is up for renewal", {}),
        ("Renew and pay subscription 991", {}),
        ("Retry failed payment run 8812", {}),
        ("Job 8812 failed; rerun it, then close ticket 4411", {"ticket": {"4411"}}),
        ("Get order 5512 replaced and close ticket 4411", {"ticket": {"4411"}}),
        ("Rerun job 8812 and refund order 5512", {"order": {"5512"}}),
        ("Refund order 5512 and rerun the failed nightly job 8812", {"order": {"5512"}}),
        ("Rebook booking 88123 because flight LH1203 is cancelled", {}),
        ("Rebook the passengers of cancelled flight LH1203", {}),
        ("Rebook PNR K7X9QZ after the cancelled flight LH1203", {}),
        ("Flight LH1203, which was due at noon, is cancelled. Rebook customer 88", {"customer": {"88"}}),
        ("Flight LH1203 was cancelled. Rebook customer 88", {"customer": {"88"}}),
        (
            "Rebook passenger 88 from flight LH1203 and close ticket 4411",
            {"passenger": {"88"}, "ticket": {"4411"}},
        ),
        ("Re-book customer 88 of flight LH1203 as told in case 4471", {"customer": {"88"}, "case": {"4471"}}),
        ("Rebook customer 88, flight LH1203 is off", {"customer": {"88"}}),
        ("Customer 88 missed flight LH1203: rebook", {"customer": {"88"}}),
        ("Refund flight LH1203 and rebook customer 88", {"customer": {"88"}}),
        ("Customer 88 has to be rebooked, flight LH1203 was cancelled", {"customer": {"88"}}),
        ("Get customer 88 rebooked. Their flight LH1203 is cancelled", {"customer": {"88"}}),
        ("Customer 88 wants to be rebooked off flight LH1203", {"customer": {"88"}}),
        # and something else that is renewed or replaced binds as before
        ("Rebook flight LH1203 in room R412", {"room": {"R412"}}),
        ("Rebook customer 88 and cancel visit 4471", {"customer": {"88"}, "visit": {"4471"}}),
        ("Rebook customer 88 and waive the fee on account 4471", {"customer": {"88"}, "account": {"4471"}}),
        (
            "Rebook customer 88. Pay for cancelled visit 4471 and room R412",
            {
                "customer": {"88"},
                "room": {"R412"},
            },
        ),
        ("Do not rebook customer 88. Refund cancelled flight LH1203", {"flight": {"LH1203"}}),
        ("Refund flight LH1203; customer 88 was rebooked", {"customer": {"88"}, "flight": {"LH1203"}}),
        ("Refund order 5512 and rerun the nightly job", {"order": {"5512"}}),
        ("Refund order 5512; the customer's card was replaced", {"order": {"5512"}}),
        ("Refund order 5512 of the replaced kettle", {"order": {"5512"}}),
        ("Rerun the tests. Close ticket 4411", {"ticket": {"4411"}}),
        ("Renew the subscription of customer 88", {"customer": {"88"}}),
        ("Review contract 7781 for renewal risk", {"contract": {"7781"}}),
        ("Set retries to 5 on job 8812", {"job": {"8812"}}),
        ("Refund order 5512 and approve replacement 99131", {"order": {"5512"}, "replacement": {"99131"}}),
        ("Refund order 5512; retry if it fails", {"order": {"5512"}}),
        ("Close ticket 4411, retrying if needed", {"ticket": {"4411"}}),
        ("Refund order 5512; the customer wants no replacement", {"order": {"5512"}}),
        ("Refund order 5512 and don't reorder it", {"order": {"5512"}}),
        ("Refund order 5512 without replacing it", {"order": {"5512"}}),
        ("Refund order 5512 since it was never replaced", {"order": {"5512"}}),
        ("Refund the replacement order 5512", {"order": {"5512"}}),
        ("Cancel renewed policy 70031", {"policy": {"70031"}}),
        ("Cancel subscription 991 before it renews", {"subscription": {"991"}}),
        ("Turn off automatic renewal of subscription 991", {"subscription": {"991"}}),
        ("Order 5512 is a duplicate; cancel it", {"order": {"5512"}}),
        # what else is unwanted forbids no successor
        ("Do not forget to renew policy 70031", {}),
        ("Cancel the visit, then renew policy 70031", {}),
        ("Job 8812 did not finish; rerun it", {}),
        # "one" is the thing, not its owner
        ("Move appointment 4471 of patient 7731 to an earlier one", {"patient": {"7731"}}),
        ("Move appointment 4471 for our patient 7731 to another one", {"patient": {"7731"}}),
        ("Move patient 7731 from room R412 to another one", {"patient": {"7731"}}),
        ("For patient 7731, move appointment 4471 to a later one", {"patient": {"7731"}}),
        ("Close case 4471 of user 88, move visit 7731 to a later one", {"case": {"4471"}, "user": {"88"}}),
        ("Close case 4471 of user 88 visit 7731 and a later one", {"case": {"4471"}, "user": {"88"}}),
        # what is not to be done names nothing, and means no more
        ("Cancel order 5512. Do not touch any other orders.", {"order": {"5512"}}),
        ("Cancel order 5512 and no other orders", {"order": {"5512"}}),
        ("Cancel order 5512 and nothing else", {"order": {"5512"}}),
        ("Cancel order 5512, no others", {"order": {"5512"}}),
        ("Cancel order 5512; leave all other orders alone", {"order": {"5512"}}),
        ("Cancel order 5512 and leave order 5513 as it is", {"order": {"5512"}}),
        ("Leave order 5512 open, keep the rest", {}),
        (
            "Cancel order 5512 without touching other orders and tell customer 88",
            {
                "order": {"5512"},
                "customer": {"88"},
            },
        ),
        ("Cancel orders of customer no. 88, and order no. 5512", {"customer": {"88"}}),
        ("Delete user 4488. Do not delete user 4489.", {"user": {"4488"}}),
        ("Refund orders 5512 and 5513, but not order 5514", {"order": {"5512", "5513"}}),
        ("Never touch order 5512, and do not cancel order 5513", {}),
        ("Do not forget to cancel order 5513", {"order": {"5513"}}),
        ("Close ticket 4411. Do not skip ticket 4412", {"ticket": {"4411", "4412"}}),
        ("Not only order 5512 but also order 5513 is late: refund them", {"order": {"5512", "5513"}}),
        ("Close order 5512 no later than order 5513", {}),
        ("Close order 5512 no later than Friday", {"order": {"5512"}}),
        ("Cancel order 5512 later today", {"order": {"5512"}}),
        ("Cancel order 5512, later today", {"order": {"5512"}}),
        ("Cancel order 5512 and tell her later", {"order": {"5512"}}),
        ("Reset MFA for user 4471 following runbook RB-12", {"user": {"4471"}, "runbook": {"RB-12"}}),
        ("Don't refund order 5512, refund order 5513 instead", {}),
        # but for what may be done after all, or is done to it instead
        ("Close order 5511. Do not refund order 5512 until it is back", {"order": {"5511", "5512"}}),
        ("Close order 5511. Don't want order 5512 any more", {"order": {"5511", "5512"}}),
        ("Close order 5511. Don't cancel order 5512, exchange it", {"order": {"5511", "5512"}}),
        ("Close order 5511. Don't cancel order 5512 and refund order 5513", {"order": {"5511", "5512", "5513"}}),
        ("Close order 5511. Do not touch other orders unless she asks", {}),
        ("Close order 5511. Do not close the other orders; just annotate them", {}),
        ("see https://x.example/order/5512 and mail ann99@x.example", {}),
        ("order 3rd, 2.5 km, 40 %, $300 and 12 pm", {}),
    ],
)
def test_what_a_purpose_names(purpose: str, kinds: dict[str, set[str]]) -> None:
    assert {kind: set(ids.values()) for kind, ids in named_objects(purpose).ids.items()} == kinds


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"to": "eve@evil.example"}, 1.0),
        ({"to": ["eve@evil.example", "mal@evil.example"], "body": "for ann.lee@acme.example"}, 1.0),
        ({"to": "Eve <eve@evil.example>; mal@evil.example"}, 1.0),
        ({"to": "ann.lee@acme.example.evil.example"}, 1.0),
        ({"to": "ann.lee@acme.example"}, 0.0),
        ({"to": "Ann <Ann.Lee@ACME.example>", "cc": "eve@evil.example"}, 0.0),
        ({"to": "tom.okafor@acme.example"}, 0.0),  # the purpose names whose it is
        ({"to": "tom@acme.example"}, 0.0),
        ({"to": "tom@evil.example"}, 1.0),
        ({"to": "mailto:eve@evil.example"}, 1.0),
        ({"to": '"ann.lee@acme.example" <eve@evil.example>'}, 1.0),
        ({"to": "eve@evil.example", "reply_to": "ann.lee@acme.example"}, 1.0),
        ({"mailbox": "desk@corp.example"}, 0.0),  # whose turn it is
        ({"to": "the.report@evil.example"}, 1.0),
        ({"body": "answer eve@evil.example soon"}, 0.0),  # no address alone
        ({"to": "everybody"}, 0.0),
    ],
)
def test_addresses_are_compared_too(judged: Any, arguments: Any, value: float) -> None:
    purpose = "Send the report that Tom Okafor wrote to ann.lee@acme.example"
    assert judged(purpose, "mail.send", arguments).value == pytest.approx(value * ONE)


@pytest.mark.parametrize(
    ("name", "local", "value"),
    [
        ("José Núñez", "jose.nunez", 0.0),
        ("Jose\u0301 Nu\u0301n\u0303ez", "josé.núñez", 0.0),
        ("Jörg Müller", "joerg.mueller", 0.0),
        ("Jörg Müller", "jorg.muller", 0.0),
        ("Søren Åkesson", "soeren.aakesson", 0.0),
        ("Łukasz Strauß", "lukasz.strauss", 0.0),
        ("Mary O'Brien", "mary.obrien", 0.0),
        ("Mary O’Brien", "mary.o-brien", 0.0),
        ("Anna-Lena Schmidt", "anna-lena.schmidt", 0.0),
        ("Anna-Lena Schmidt", "annalena.schmidt", 0.0),
        ("Jan de Boer", "jan.deboer", 0.0),
        ("Ewan McDonald", "emcdonald", 0.0),
        ("Bob Lee", "blee", 0.0),
        ("Bob Lee", "b.lee", 0.0),
        ("Bob Lee", "lee.bob", 0.0),
        ("Bob M. Lee", "boblee", 0.0),
        ("Wei Li", "wei.li", 0.0),
        ("Wei Li", "wli", 1.0),  # an initial and two letters may be anybody's
        ("Bob Lee", "bob", 1.0),
        ("Bob Lee", "eve.lee", 1.0),
        ("Bob Lee", "bob.lee.eve", 1.0),
        ("Bob. Lee", "blee", 1.0),
        ("Bob's Lee", "blee", 1.0),
        ("Bob Иванов", "bob", 1.0),
        ("Müller and Lee", "mlee", 1.0),
    ],
)
def test_a_name_may_be_spelt_as_addresses_spell_it(judged: Any, name: str, local: str, value: float) -> None:
    purpose = f"Send the renewal offer to {name} and copy ann@acme.example"
    assert judged(purpose, "mail.send", {"to": f"{local}@globex.example"}).value == pytest.approx(value * ONE)


def test_a_purpose_that_means_more_people_than_it_names_binds_no_address(judged: Any) -> None:
    purpose = "Invite ann.lee@acme.example and the rest of the team"
    assert judged(purpose, "mail.send", {"to": "eve@evil.example"}).silent


@pytest.mark.parametrize("whom", ["Bob", "my manager", "carol.boss@corp.example"])
def test_whom_mail_is_from_is_not_whom_it_goes_to(judged: Any, whom: str) -> None:
    found = judged(
        f"Sum up the mails from ann@acme.example for {whom}", "mail.send", {"to": "carol.boss@corp.example"}
    )
    assert found.value == 0.0


def test_a_look_up_in_ones_own_mailbox_or_account_is_no_other_object(judged: Any) -> None:
    purpose = "Write ann@acme.example that DE89 3704 0044 0532 0130 00 got 300 EUR"
    assert judged(purpose, "mail.search", {"user_id": "desk@corp.example"}).value == 0.0
    assert judged(purpose, "reset_password", {"user_email": "desk@corp.example"}).value == FIRST
    assert judged(purpose, "get_balance", {"iban": "GB29NWBK60161331926819"}).value == 0.0


DUTY = "Close ticket 4471 of user 7731"


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"ticket_id": 4471, "author_user_id": 9912}, 0.0),
        ({"ticket_id": 4471, "author": {"user_id": 9912}}, 0.0),
        ({"ticket_id": 4471, "closed_by_user_id": 9912}, 0.0),
        ({"ticket_id": 4471, "user_id": 9912}, 0.7),
        ({"ticket_id": 4471, "user": {"id": 9912}}, 0.7),
        ({"ticket_id": 4471, "assignee_user_id": 9912}, 0.7),
        ({"ticket_id": 4471, "user_id": "*"}, 1.0),
        ({"user_id": 9912}, 1.0),
        ({"ticket_id": 4472, "user_id": 9912}, 1.0),
        ({"ticket_id": 4472, "user_id": 7731}, 1.0),
        ({"author": {"ticket_id": 4472}}, 1.0),
    ],
)
def test_who_acts_is_not_whom_the_act_is_about(judged: Any, arguments: Any, value: float) -> None:
    assert judged(DUTY, "tickets.update", arguments).value == pytest.approx(value * ONE)


def test_an_agent_whom_the_purpose_names_is_compared(judged: Any) -> None:
    assert judged("Suspend agent 4471", "agents.suspend", {"agent_id": 4472}).value == FIRST
    assert judged("Suspend agent 4471", "agents.suspend", {"agent_id": 4471}).value == 0.0


ISSUE = "Fix issue #123 in acme/shop"
OPENED = ("github.create_pull_request", {"title": "Fix it", "head": "fix-123"})


def comment(number: object) -> tuple[str, dict[str, object]]:
    return "github.add_issue_comment", {"issue_number": number, "body": "see the change"}


@pytest.mark.parametrize(
    ("purpose", "calls", "shares"),
    [
        (ISSUE, [OPENED, comment(130), comment(130), comment(131), comment(123)], [0, 0, 0, 1, 0]),
        (ISSUE, [OPENED, OPENED, comment(130), comment(131), comment(132)], [0, 0, 0, 0, 1]),
        (ISSUE, [("gh.pr_create", {}), ("github.get_issue", {"issue_number": 140}), comment(130)], [0, 0.7, 0]),
        (ISSUE, [comment(130), OPENED, comment(130), comment(131)], [1, 0, 0.7, 0]),
        (ISSUE, [OPENED, ("github.get_issue", {"issue_number": 130}), comment(130)], [0, 0.7, 0]),
        (ISSUE, [OPENED, comment(122), comment("*"), comment(130)], [0, 1, None, 0]),
        (ISSUE, [("github.get_pull_request", {"pull_number": 130}), comment(130)], [0, 1]),
        (ORDER, [OPENED, ("refund_order", {"order_id": 6620})], [0, 1]),
    ],
)
def test_by_an_issues_number_a_pull_request_of_the_session_is_meant(
    told: Any, purpose: str, calls: list[Any], shares: list[float | None]
) -> None:
    _, values = told(purpose, calls)
    for value, share in zip(values, shares, strict=True):
        assert value > 0.0 if share is None else value == pytest.approx(share * ONE)


def test_a_pull_request_that_nobody_remembers_or_that_was_denied_is_none(
    told: Any, observe: Any, folded: Any
) -> None:
    assert told(ISSUE, [OPENED, comment(130)], keyed=False)[1] == [0.0, FIRST]
    for changes in ({"decision__effect": "deny"}, {"result": {"status": "error"}}):
        seen = observe(envelope__purpose=ISSUE, action__tool=OPENED[0], action__arguments=OPENED[1], **changes)
        assert "pulls" not in folded(ObjectMismatch(), [seen])[0]
    state, _ = told(ISSUE, [OPENED] * 40)
    assert len(state["pulls"]) == 16


def test_whose_money_is_moved_is_not_who_gets_it(judged: Any) -> None:
    own, named = "GB29NWBK60161331926819", "DE89 3704 0044 0532 0130 00"
    purpose = f"Pay Acme 300 EUR to {named} today"
    for paying in ({"debtor_iban": own}, {"debtor": {"iban": own}}, {"source_account": {"iban": own}}):
        assert judged(purpose, "sepa.transfer", paying).value == 0.0
        assert judged(purpose, "sepa.transfer", {**paying, "creditor_iban": own}).value == FIRST
    assert judged(f"Collect 300 EUR from {named}", "sepa.collect", {"debtor_iban": own}).value == FIRST


@pytest.mark.parametrize(
    ("purpose", "to", "value"),
    [
        (
            "Answer the complaint of {} about order 5512; ask the vendor for help",
            "helpdesk@vendor.example",
            0.0,
        ),
        ("Forward the mail of {} to legal", "legal@acme.example", 0.0),
        ("Forward {}'s complaint to the manager", "lead@acme.example", 0.0),
        ("Sum up the mail by {} and tell legal", "legal@acme.example", 0.0),
        ("Answer the complaint of {}", "eve@evil.example", 1.0),
        ("Answer the complaint of {} and tell her when it ships", "eve@evil.example", 1.0),
        ("Look up the order of {} and inform the customer", "eve@evil.example", 1.0),
        ("Change the plan of {} to Pro", "eve@evil.example", 1.0),
        ("Send the invoice of {} to the customer", "eve@evil.example", 1.0),
        ("Forward the mail of {} to bo@acme.example", "eve@evil.example", 1.0),
        ("Forward the mail of {} to bo@acme.example", "bo@acme.example", 0.0),
    ],
)
def test_whose_something_is_is_not_who_gets_it(judged: Any, purpose: str, to: str, value: float) -> None:
    said = purpose.format("jane.doe@customer.example")
    assert judged(said, "mail.send", {"to": to}).value == pytest.approx(value * ONE)


def test_an_iban_that_the_purpose_does_not_name_is_told(judged: Any) -> None:
    purpose = "Pay Acme 300 EUR to DE89 3704 0044 0532 0130 00 today"
    assert judged(purpose, "send_money", {"recipient": "DE89370400440532013000"}).value == 0.0
    found = judged(purpose, "send_money", {"recipient": "GB29 NWBK 6016 1331 9268 19"})
    assert (found.value, found.reason) == (
        FIRST,
        "arguments.recipient is GB29 NWBK 6016 1331 9268 19; the purpose names DE89370400440532013000",
    )


def test_another_object_is_told_once_and_the_argument_that_names_it(judged: Any) -> None:
    found = judged(
        ORDER, "refund_order", {"note": "x", "order_id": 6620}, resource={"type": "order", "id": "6620"}
    )
    assert found.reason == "arguments.order_id is 6620; the purpose names order 5512"
    assert found.argument == "order_id"
    found = judged(ORDER, "refund_order", {"order_id": 6620, "customer": {"id": 91}})
    assert found.argument == "order_id"
    found = judged(ORDER, "refund_order", {}, resource={"type": "order", "id": "6620"})
    assert (found.value, found.argument) == (FIRST, None)
    assert judged(ORDER, "refund_order", {"order_id": 5512}).argument is None


def test_a_postal_address_with_a_number_is_no_mail_address_and_an_iban_is_told_once(judged: Any) -> None:
    found = judged("Correct address 4411 of Ada", "addresses.update", {"address_id": 9922})
    assert found.reason == "arguments.address_id is 9922; the purpose names address 4411"
    purpose = "Pay to IBAN DE89370400440532013000 today"
    found = judged(purpose, "send_money", {"iban": "DE02120300000000202051"})
    assert found.reason.count("DE02120300000000202051") == 1
    assert judged(purpose, "send_money", {"iban": "DE89370400440532013000"}).value == 0.0


@pytest.mark.parametrize(
    ("constraints", "arguments", "told"),
    [
        ({"order_ids": ["5512"]}, {"order_id": 6620}, []),
        ({"order_ids": ["5512"]}, {"order_id": "6620, 6621"}, []),
        ({"order_id": "55*"}, {"order": {"id": "6620"}}, []),
        ({"denied_orders": [6620]}, {"order": 6620.0}, []),
        ({"order_ids": ["5512"]}, {"order_ids": [6620, 6621]}, []),
        ({"customer_id": 88}, {"order_id": 6620, "customer_id": 91}, ["arguments.order_id"]),
        ({"order_ids": ["5512", "6621"]}, {"order_ids": [6620, 6621]}, ["arguments.order_ids"]),
        ({"order_ids": ["5512", "6620"]}, {"order_id": 6620}, ["arguments.order_id"]),
        ({"max_records": 5, "regions": ["eu"]}, {"order_id": 6620}, ["arguments.order_id"]),
    ],
)
def test_what_the_envelope_refuses_is_told_once_and_by_its_rule(
    judged: Any, constraints: Any, arguments: Any, told: list[str]
) -> None:
    found = judged(ORDER, "refund_order", arguments, constraints=constraints)
    assert [part.split(" is ")[0] for part in found.reason.split("; ") if " is " in part] == told
    assert (found.value > 0.0, found.silent) == (bool(told), not told)


@pytest.mark.parametrize(
    ("purpose", "tool", "arguments", "value"),
    [
        ("Delete user 4488. Do not delete user 4489.", "users.delete", {"user_id": 4489}, ONE),
        ("Delete user 4488. Do not delete user 4489.", "users.delete", {"user_id": "user-4489"}, ONE),
        ("Delete user 4488. Do not delete user 4489.", "users.get", {"user_id": 4489}, 0.0),
        ("Delete user 4488. Do not delete user 4489.", "users.get", {"user_id": 4490}, 0.7 * ONE),
        ("Mail ann@x.example, not bo@x.example or others", "mail.send", {"to": "bo@x.example"}, ONE),
        ("Mail ann@x.example, not bo@x.example or others", "contacts.get", {"email": "bo@x.example"}, 0.0),
        ("Mail ann@x.example, not bo@x.example or others", "contacts.get", {"email": "eve@x.example"}, 0.7 * ONE),
    ],
)
def test_what_is_not_to_be_done_may_be_looked_at(
    judged: Any, purpose: str, tool: str, arguments: Any, value: float
) -> None:
    assert judged(purpose, tool, arguments).value == pytest.approx(value)


def test_a_look_up_counts_less(judged: Any) -> None:
    assert judged(ORDER, "orders.get", {"order_id": 6620}).value == pytest.approx(0.7 * ONE)
    assert judged(ORDER, "orders.get", {"order_id": 6620}, read_value=0.0).value == 0.0


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("refund_order", {"order_id": "*"}, "arguments.order_id is *"),
        ("refund_order", {"order": "*"}, "arguments.order is *"),
        ("refund_order", {"order_id": "%"}, "arguments.order_id is %"),
        ("refund_order", {"order_id": "66*"}, "arguments.order_id is 66*"),
        ("refund_order", {"order_ids": ["ORD-*"]}, "arguments.order_ids is ORD-*"),
        ("orders.cancel", {"id": "*"}, "arguments.id is *"),
        ("orders.cancel", {"id": {"$ne": 5512}}, "arguments.id.$ne is all but 5512"),
        ("refund_order", {"query": {"order_id": {"$ne": 5512}}}, "arguments.query.order_id.$ne is all but 5512"),
        ("refund_order", {"order_id": {"$nin": [5512]}}, "arguments.order_id.$nin is all but 5512"),
        ("refund_order", {"order_id": {"$not": {"$eq": 5512}}}, "arguments.order_id.$not.$eq is all but 5512"),
        ("refund_order", {"order_id": {"!=": "5512"}}, "arguments.order_id.!= is all but 5512"),
        ("refund_order", {"order_id__ne": 5512}, "arguments.order_id.ne is all but 5512"),
        ("refund_order", {"order_id_not_in": [5512]}, "arguments.order_id.not_in is all but 5512"),
        ("refund_order", {"order_id": "!5512"}, "arguments.order_id is all but 5512"),
        ("refund_order", {"order_id": "!= 5512"}, "arguments.order_id is all but 5512"),
        ("refund_order", {"order_id": "NOT #5512"}, "arguments.order_id is all but #5512"),
        ("refund_order", {"order_id": {"$ne": 1}}, "arguments.order_id.$ne is all but 1"),
    ],
)
def test_all_others_are_others(judged: Any, tool: str, arguments: Any, told: str) -> None:
    found = judged(ORDER, tool, arguments)
    assert (found.value, found.reason) == (FIRST, f"{told}; the purpose names order 5512")


@pytest.mark.parametrize(
    "arguments",
    [
        {"order_id": "5512*"},
        {"order_id": "ORD-5512*"},
        {"order_id": "*5512"},
        {"order_id": "****"},  # what a gateway hid
        {"order_id": "**12"},
        {"order": "50%"},
        {"order": "A-*"},
        {"query": "*"},
        {"invoice_id": "*"},
        {"order_id": {"$ne": ""}},
        {"order_id": {"$ne": "shipped"}},
        {"status": {"$ne": "paid"}},
        {"exclude_order_ids": [5512]},
        {"order_id": {"$gt": 5512}},
        {"order_id": "!"},
    ],
)
def test_what_may_not_mean_all_others_does_not(judged: Any, arguments: Any) -> None:
    assert judged(ORDER, "refund_order", arguments).silent


@pytest.mark.parametrize(
    "arguments",
    [
        {"order_id": {"$eq": 5512, "$ne": 6620}},
        {"order_ids": ["5512", "*"]},
        {"order_id": 5512, "parent_order_id": {"$ne": 0}},
    ],
)
def test_what_names_the_purposes_own_touches_it(judged: Any, arguments: Any) -> None:
    assert judged(ORDER, "refund_order", arguments).reason == "it touches what the purpose names"


def test_what_is_left_out_vouches_for_nothing(judged: Any) -> None:
    found = judged(ORDER, "refund_order", {"order_ids": [6620, 6621], "exclude_order_id": 5512})
    assert found.value == FIRST


@pytest.fixture
def told(observe: Any, folded: Any) -> Any:
    """The state after calls of one session, and the values that the signal had."""

    def told(
        purpose: str, calls: list[tuple[str, Any]], *, keyed: bool = True, **options: Any
    ) -> tuple[Any, list[float]]:
        seen = [
            observe(
                envelope__purpose=purpose,
                envelope__resource_constraints={},
                action__tool=tool,
                action__arguments=arguments,
                action__resource=None,
                facts={"fingerprint": fingerprinter(b"for tests") if keyed else None},
            )
            for tool, arguments in calls
        ]
        state, signals = folded(ObjectMismatch(**options), seen)
        return state, [signal.value for signal in signals]

    return told


def test_the_third_stranger_says_more_than_the_first(told: Any) -> None:
    calls = [("refund_order", {"order_id": 6620 + number}) for number in range(40)]
    state, values = told(ORDER, calls)
    assert values[:2] == [FIRST, FIRST]
    assert all(before < after for before, after in pairwise(values[1:12]))
    assert 0.95 * values[2] > 0.88
    assert values[-1] == pytest.approx(1.0)
    assert "66" not in json.dumps(list(state["strangers"].values()))
    assert told(ORDER, calls, keyed=False)[1] == [FIRST] * 40


@pytest.mark.parametrize(
    ("tool", "strangers", "calm"),
    [
        ("orders.get", [{"order_id": 6620 + number} for number in range(8)], 6),
        ("mail.send", [{"to": f"eve{number}@evil.example"} for number in range(8)], 6),
        ("send_money", [{"iban": f"GB29NWBK6016133192681{number}"} for number in range(4)], 2),
        ("refund_order", [{"order_id": 6620, "customer_id": 91}, {"order_id": 6621, "customer_id": 92}], 2),
        ("refund_order", [{"order_ids": [6620, 6621]}, {"order_ids": [6621, 6622]}], 1),
        ("refund_order", [{"order_ids": [6620, 6621, 6622]}], 0),
        ("refund_order", [{"order_id": "*"}], 0),
        ("refund_order", [{"order_id": {"$ne": 5512}}], 0),
        ("orders.search", [{"order_id": "*"}] * 3, 3),
    ],
)
def test_what_is_looked_up_and_who_is_written_to_counts_a_third(
    told: Any, tool: str, strangers: list[Any], calm: int
) -> None:
    purpose = f"{ORDER}, pay DE89 3704 0044 0532 0130 00 and tell ann@acme.example"
    _, values = told(purpose, [(tool, each) for each in strangers])
    assert values[:calm] == [pytest.approx(ONE * (0.7 if tool.startswith("orders.") else 1.0))] * calm
    assert all(value > values[0] for value in values[max(calm, 1) :])
    assert calm or values[0] > ONE + 0.01


def test_looking_at_many_others_stands_out_at_last_and_never_where_it_is_to_count_nothing(told: Any) -> None:
    calls = [("orders.get", {"order_id": 6620 + number}) for number in range(100)]
    state, values = told(ORDER, calls)
    assert 0.95 * values[9] < 0.85
    assert 0.95 * values[20] > 0.9
    assert len(state["strangers"]) == 64
    assert told(ORDER, calls, read_value=0)[1] == [0.0] * 100


def test_one_that_was_looked_up_and_then_acted_on_counts_once_and_in_full(told: Any) -> None:
    looks = [("orders.get", {"order_id": 6620 + number}) for number in range(3)]
    acts = [("orders.cancel", {"order_id": 6620 + number}) for number in range(2)]
    assert told(ORDER, [*acts, *looks[:2], *acts])[1][-1] == pytest.approx(0.7 * ONE)
    assert told(ORDER, [*looks, *acts])[1][-1] > ONE


@pytest.mark.parametrize(
    ("acts", "shares"),
    [
        (["orders.update 6620", "refund_order 6620", "orders.close 6620"], [1, 0.7, 0.7]),
        ([f"refund_order {told}" for told in ("6620", "ORD-6620", "#6620", "0006620")], [1, 0.7, 0.7, 0.7]),
        (["orders.update 6620", "refund_order 6621", "orders.close 6620", "orders.close 6621"], [1, 1, 0.7, 0.7]),
        (["refund_order 6620,6621", "orders.close 6621", "orders.close 6620,6621"], [1, 0.7, 0.7]),
        # but not another one, or one that was only looked up
        (["orders.get 6620", "refund_order 6620", "orders.get 6620"], [0.7, 1, 0.7]),
        (["orders.update 6620", "refund_order 5512", "refund_order 6621"], [1, 0, 1]),
    ],
)
def test_one_object_through_several_tools_is_one_oddity(told: Any, acts: list[str], shares: list[float]) -> None:
    calls = [(tool, {"order_id": number}) for tool, number in map(str.split, acts)]
    assert told(ORDER, calls)[1] == [pytest.approx(share * ONE) for share in shares]


def test_three_objects_all_others_and_what_no_key_remembers_stay_odd_through_each_tool(told: Any) -> None:
    for others in ([{"order_id": 6620 + number} for number in range(3)], [{"order_id": "*"}]):
        values = told(ORDER, [(tool, each) for tool in ("refund_order", "orders.close") for each in others])[1]
        assert all(value > ONE for value in values[len(others) :])
    again = [("refund_order", {"order_id": 6620}), ("orders.close", {"order_id": 6620})]
    assert told(ORDER, again, keyed=False)[1] == [FIRST] * 2


def test_the_resource_is_compared_where_arguments_are_missing(judged: Any) -> None:
    assert judged(ORDER, "orders.refund", None, resource={"type": "order", "id": "6620"}).value == FIRST
    unseen = judged(ORDER, "orders.refund", None)
    assert (unseen.silent, unseen.reason) == (True, "missing: the action's arguments")


@pytest.mark.parametrize(
    ("tool", "arguments", "value"),
    [
        ("erp.post_journal_entry", {"lines": [{"account": "6120", "debit": 9}, {"account": "2100"}]}, 0.0),
        ("gl.post", {"debit_account": 6120, "credit_account": 2100}, 0.0),
        ("LedgerCreateEntries", {"entries": [{"gl_account_code": "6120"}]}, 0.0),
        ("accounting__list_journal_lines", {"account_id": 2100}, 0.0),
        # of one account, whatever the tool's house, and of other things in an entry
        ("erp.update_vendor_account", {"account": "2044"}, 1.0),
        ("ledger.transfer", {"from_account": "6120", "to_account": "2044"}, 1.0),
        ("ledger.post_payment", {"account": "2044"}, 1.0),
        ("ledger.post_withdrawal", {"account": "2044"}, 1.0),
        ("voucher.issue", {"account_id": 2044}, 1.0),
        ("bank.post_transfer", {"account": "2044"}, 1.0),
        ("journal.delete_entries", {"account": "*"}, 1.0),
        ("erp.post_journal_entry", {"account": "6120", "vendor_id": 91}, 1.0),
    ],
)
def test_an_entry_in_books_names_other_accounts(judged: Any, tool: str, arguments: Any, value: float) -> None:
    purpose = "Post the October accruals of vendor 88 and reconcile account 1010"
    assert judged(purpose, tool, arguments).value == pytest.approx(value * ONE)
    assert judged(purpose, tool, {"account": "1010"}).reason == "it touches what the purpose names"


def test_the_reason_names_both_and_shows_nothing_that_could_harm(judged: Any) -> None:
    found = judged("Refund order A<b>5512", "refund_order", {"order_id": "Z6620", "order_<b>": {"id": "q1"}})
    assert "<" not in found.reason
    found = judged(ORDER, "refund_order", {"order_id": 6620, "customer_id": 91})
    assert found.reason == (
        "arguments.order_id is 6620; the purpose names order 5512; "
        "arguments.customer_id is 91; the purpose names customer 88"
    )


@pytest.mark.parametrize(
    ("above", "purpose", "arguments", "told"),
    [
        (ORDER, "Refund order 6620", {"order_id": 6620}, True),
        (ORDER, "Refund the order", {"order_id": 6620}, True),
        (ORDER, "Tell customer 91", {"customer_id": 91}, True),
        ("Pay DE89370400440532013000", "Pay DE02120300000000202051", {"iban": "DE02120300000000202051"}, True),
        (ORDER, "Refund order 5512", {"order_id": 5512}, False),
        (ORDER, "Refund orders 5512 and 6620", {"order_ids": [5512, 6620]}, False),
        # it names a batch, means more, speaks of another register or of no object
        ("Refund orders 5512, 6620 and 6621", "Refund order 6620", {"order_id": 6620}, False),
        ("Refund order 5512 and related orders", "Refund order 6620", {"order_id": 6620}, False),
        (
            "Refund order 5512. Do not refund other orders if she pays",
            "Refund order 6620",
            {"order_id": 6620},
            False,
        ),
        ("Work on ticket 4411", "Refund order 6620", {"order_id": 6620}, False),
        ("Refund order WEB-5512-A", "Refund order 6620", {"order_id": 6620}, False),
        ("Handle the queue of today", "Refund order 6620", {"order_id": 6620}, False),
        ("Tell ann@x.example of it", "Mail bo@x.example about order 6620", {"to": "bo@x.example"}, False),
    ],
)
def test_what_the_purposes_above_name_binds_a_child_too(
    observe: Any, folded: Any, above: str, purpose: str, arguments: Any, told: bool
) -> None:
    parent = observe(envelope__purpose=above).event.envelope
    for facts in (
        ParentFact(ParentStatus.ACTIVE, parent, ("up",)),
        ParentFact(ParentStatus.UNKNOWN, None, ("up",), above),
        ParentFact(ParentStatus.ACTIVE, parent, ("up", "top"), above),
        ParentFact(ParentStatus.ACTIVE, parent, ("up", "top"), "Handle the queue of today"),
    ):
        seen = observe(
            envelope__purpose=purpose,
            envelope__parent_session_id="up",
            envelope__resource_constraints={},
            action__tool="records.update",
            action__arguments=arguments,
            action__resource=None,
            facts={"parent": facts},
        )
        _, (found,) = folded(ObjectMismatch(), [seen])
        assert found.value == pytest.approx(told * ONE)
        whose = "its parent's purpose" if facts.envelope else "the purpose at the head of its chain"
        assert (f"; {whose} names " in found.reason) is told


@pytest.mark.parametrize(
    ("purpose", "tool", "arguments", "value"),
    [
        ("Refund order 6620", "orders.get", {"order_id": 6620}, 0.0),
        ("Refund order 6620", "orders.get", {"order_id": 6621}, 0.7 * ONE),
        ("Refund the order", "orders.get", {"order_id": 6620}, 0.7 * ONE),
        ("Refund order 6620", "orders.search", {"order_id": "*"}, 0.7 * ONE),
        ("Refund order 6620", "orders.refund", {"order_id": 6620}, ONE),
    ],
)
def test_what_a_childs_own_purpose_names_may_be_looked_at(
    observe: Any, folded: Any, purpose: str, tool: str, arguments: Any, value: float
) -> None:
    seen = observe(
        envelope__purpose=purpose,
        envelope__parent_session_id="up",
        envelope__resource_constraints={},
        action__tool=tool,
        action__arguments=arguments,
        action__resource=None,
        facts={"parent": ParentFact(ParentStatus.UNKNOWN, None, ("up",), ORDER)},
    )
    _, (found,) = folded(ObjectMismatch(), [seen])
    assert found.value == pytest.approx(value)


def test_an_impossible_option_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"signals\.object_mismatch\.read_value"):
        ObjectMismatch(read_value=2)


@pytest.mark.parametrize(
    "repeated",
    [
        *("1", "1,", "order 5512 renewed, ", "ﷺ", "a1-", "AA11 "),
        *("Éa ", "A'", "Ab-", "Éa de "),
    ],
)
@pytest.mark.parametrize("begin", ["", "a@b.example "])
def test_a_long_purpose_takes_no_longer_than_its_length(begin: str, repeated: str) -> None:
    short, long = (cost(lambda n=n: named_objects.__wrapped__((begin + repeated * n)[:n])) for n in (500, 8_000))
    assert long < 24 * short, "eight times as long: of more than 4,000 characters nothing is read"


def test_characters_that_stand_for_many_cost_no_more() -> None:
    assert len(folded_text("ﷺ" * 400)) <= 800


def test_many_objects_are_not_compared_each_with_each(judged: Any) -> None:
    arguments = {f"part_{each}": {"order_ids": list(range(77_700, 77_800))} for each in range(100)}

    def judging(named: int) -> float:
        purpose = "Close orders " + ", ".join(str(10_000 + each) for each in range(named))
        assert judged(purpose, "orders.close", arguments).value == FIRST
        return cost(lambda: judged(purpose, "orders.close", arguments), rounds=3)

    assert judging(580) < 2 * judging(20), "29 times as many are named"


_NUMBERS = st.integers(min_value=2_100, max_value=99_999_999).map(str)
_KINDS = st.sampled_from(["order", "claim", "ticket", "customer", "invoice", "case"])


@given(
    kind=_KINDS, own=_NUMBERS, other=_NUMBERS, spelt=st.sampled_from(["{} {}", "{}_id={}", "{} #{}", "{} no. {}"])
)
def test_of_two_numbers_alike_only_the_named_one_fits(
    observe: Any, folded: Any, kind: str, own: str, other: str, spelt: str
) -> None:
    def value(said: str) -> float:
        seen = observe(
            envelope__purpose=f"settle {spelt.format(kind, own)} today",
            envelope__resource_constraints={},
            action__tool=f"{kind}s.settle",
            action__arguments={f"{kind}_id": said},
            action__resource=None,
        )
        return float(folded(ObjectMismatch(), [seen])[1][0].value)

    assert value(own) == 0.0
    assert bool(value(other)) == (abs(len(own) - len(other)) <= 1 and other not in own)


@given(st.text(max_size=300))
def test_any_purpose_is_read_and_names_only_what_stands_in_it(purpose: str) -> None:
    named = named_objects(purpose)
    for kind, ids in named.ids.items():
        assert kind_of(kind)[0] == kind
        assert all(named.knows(told) for told in ids)
    assert all(named.knows_address(address) for address in named.addresses)


@pytest.mark.parametrize(("tokens", "silent"), [("9912", True), ("5512", False)])
def test_only_what_an_envelope_surely_refuses_is_left_to_it(judged: Any, tokens: str, silent: bool) -> None:
    """Of a lesser number the envelope has a doubt alone: more tokens are more, but these may be names."""
    said = judged("Revoke token 7781", "tokens.revoke", {"tokens": tokens}, constraints={"tokens": ["7781"]})
    assert (said.value == 0.0) is silent


def test_an_issue_is_not_closed_as_the_sessions_own_pull_request(told: Any) -> None:
    calls = [
        ("github.create_pull_request", {"title": "Fix"}),
        ("github.add_issue_comment", {"issue_number": 130}),
    ]
    assert told("Fix issue #120 in acme/shop", calls)[1][-1] == 0.0
    calls[1] = ("github.close_issue", {"issue_number": 130})
    assert told("Fix issue #120 in acme/shop", calls)[1][-1] > 0.5
