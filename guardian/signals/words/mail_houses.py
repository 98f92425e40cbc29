"""Mail houses that give an address to anybody who asks, or who has a line of theirs. Pure.

Whoever delegates from an address at one of them has no house of their own there.
"""

from guardian.signals.words.wording import word_set

_LONGEST_ENDING = 3
_NAMES = word_set(
    "gmail googlemail gmx outlook hotmail live msn yahoo ymail rocketmail icloud aol proton protonmail zoho "
    "zohomail yandex fastmail tutanota tutamail hushmail mailfence startmail runbox posteo rediffmail naver "
    "daum hanmail foxmail windowslive btinternet virginmedia mailinator guerrillamail yopmail 10minutemail"
)
"""Under `.com`, `.co.uk`, `.de` and other short endings."""
_DOMAINS = word_set(
    "aim.com nate.com sina.com sina.cn sohu.com mail.com email.com usa.com consultant.com mail.ru inbox.ru "
    "list.ru bk.ru internet.ru rambler.ru ya.ru ukr.net i.ua meta.ua abv.bg mail.bg me.com mac.com pm.me "
    "hey.com duck.com tuta.com tuta.io keemail.me mailbox.org disroot.org riseup.net qq.com vip.qq.com 163.com "
    "vip.163.com 126.com yeah.net 139.com 189.cn aliyun.com docomo.ne.jp ezweb.ne.jp au.com softbank.ne.jp "
    "i.softbank.jp web.de t-online.de freenet.de arcor.de email.de online.de bluewin.ch hispeed.ch aon.at "
    "chello.at chello.nl ziggo.nl kpnmail.nl planet.nl xs4all.nl telenet.be skynet.be orange.fr wanadoo.fr "
    "free.fr laposte.net sfr.fr neuf.fr bbox.fr libero.it virgilio.it alice.it tin.it tiscali.it inwind.it "
    "telefonica.net terra.es sapo.pt uol.com.br bol.com.br terra.com.br ig.com.br globo.com seznam.cz email.cz "
    "centrum.cz post.cz azet.sk centrum.sk wp.pl o2.pl onet.pl op.pl interia.pl poczta.fm freemail.hu "
    "citromail.hu telia.com telenor.dk online.no luukku.com o2.co.uk sky.com talktalk.net ntlworld.com "
    "blueyonder.co.uk eircom.net comcast.net xfinity.com verizon.net att.net sbcglobal.net bellsouth.net "
    "cox.net charter.net earthlink.net juno.com optonline.net frontier.com windstream.net centurylink.net "
    "rogers.com shaw.ca telus.net sympatico.ca videotron.ca bigpond.com bigpond.net.au optusnet.com.au "
    "iinet.net.au xtra.co.nz"
)


def anybodys(domain: str) -> bool:
    """Whether a mail domain is one that anybody may have an address at.

    >>> anybodys("gmail.com"), anybodys("yahoo.co.uk"), anybodys("mail.acme.example")
    (True, True, False)
    """
    name, _, rest = domain.partition(".")
    ends = all(len(part) <= _LONGEST_ENDING for part in rest.split("."))
    return domain in _DOMAINS or (name in _NAMES and ends)
