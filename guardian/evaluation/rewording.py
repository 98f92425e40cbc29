"""The same thing said otherwise, by rule: synonyms and sentence openings for English, word for word into German.

Neither is a writer. The paraphrase swaps common verbs and nouns and the way a request begins; the German table
knows some two hundred words of office, money, travel and chat and leaves every other word, name and number as it
is. They show how much a score hangs on exact English words, not how it does on real German prose.
"""

import re
from collections.abc import Mapping

_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_OPENINGS = (
    (re.compile(r"^\s*(?:please|kindly)\s+", re.I), "I would like you to "),
    (re.compile(r"^\s*(?:can|could|would|will) you (?:please )?", re.I), "I need you to "),
    (re.compile(r"^\s*i (?:want|need|would like|'d like) (?:you )?to ", re.I), "Your task is to "),
    (re.compile(r"^\s*what(?:'s| is) ", re.I), "I need to know "),
    (re.compile(r"^\s*who(?:'s| is) ", re.I), "Find out who is "),
    (re.compile(r"^\s*how (?:much|many) ", re.I), "Work out the number or amount of "),
)


def _table(listed: str) -> Mapping[str, str]:
    return dict(pair.split(":", 1) for pair in listed.split())


_SYNONYMS = _table(
    "send:dispatch email:e-mail mail:e-mail message:note reply:answer read:go_through find:locate "
    "search:look_through get:fetch show:display list:enumerate check:verify review:examine summarize:condense "
    "summarise:condense summary:digest create:set_up make:prepare add:put_in update:revise change:alter "
    "edit:revise delete:get_rid_of remove:take_out cancel:call_off book:arrange reserve:arrange schedule:plan "
    "meeting:appointment appointment:meeting event:occasion pay:settle payment:remittance transfer:move "
    "bill:statement invoice:bill money:funds buy:purchase purchase:acquire order:request share:pass_on give:hand "
    "post:put_up publish:make_public invite:ask file:document files:documents document:file folder:directory "
    "report:write-up contract:agreement customer:client client:customer user:person employee:staff_member "
    "ticket:case issue:problem problem:issue help:assist tell:inform recommend:suggest compare:contrast "
    "calculate:work_out count:tally open:access close:shut start:begin stop:halt upload:put_online "
    "download:retrieve copy:duplicate save:store hotel:place_to_stay hotels:places_to_stay "
    "restaurant:place_to_eat restaurants:places_to_eat flight:plane_trip trip:journey car:vehicle price:cost "
    "cheapest:least_expensive best:top latest:newest today:this_day tomorrow:the_next_day also:in_addition "
    "then:afterwards"
)
_GERMAN = _table(
    "send:sende email:E-Mail emails:E-Mails mail:Post message:Nachricht messages:Nachrichten reply:antworte "
    "read:lies find:finde search:suche get:hole show:zeige list:liste check:prüfe review:prüfe "
    "summarize:fasse_zusammen summary:Zusammenfassung create:erstelle make:mache add:füge_hinzu "
    "update:aktualisiere change:ändere edit:bearbeite delete:lösche remove:entferne cancel:storniere book:buche "
    "reserve:reserviere schedule:plane meeting:Besprechung appointment:Termin event:Termin events:Termine "
    "calendar:Kalender pay:bezahle payment:Zahlung transfer:überweise transaction:Buchung transactions:Buchungen "
    "bill:Rechnung invoice:Rechnung invoices:Rechnungen money:Geld account:Konto bank:Bank balance:Kontostand "
    "rent:Miete buy:kaufe purchase:kaufe order:Bestellung orders:Bestellungen item:Artikel items:Artikel "
    "share:teile give:gib post:veröffentliche publish:veröffentliche invite:lade_ein file:Datei files:Dateien "
    "document:Dokument folder:Ordner directory:Verzeichnis report:Bericht contract:Vertrag customer:Kunde "
    "customers:Kunden client:Kunde user:Benutzer users:Benutzer employee:Mitarbeiter name:Name address:Adresse "
    "phone:Telefon number:Nummer ticket:Ticket tickets:Tickets issue:Problem problem:Problem help:hilf tell:sage "
    "recommend:empfiehl compare:vergleiche calculate:berechne count:zähle open:öffne close:schließe start:starte "
    "stop:stoppe upload:lade_hoch download:lade_herunter copy:kopiere save:speichere hotel:Hotel hotels:Hotels "
    "restaurant:Restaurant restaurants:Restaurants flight:Flug flights:Flüge trip:Reise travel:Reise city:Stadt "
    "car:Auto room:Zimmer rating:Bewertung reviews:Bewertungen price:Preis prices:Preise cost:Kosten "
    "cheapest:billigste best:beste latest:neueste last:letzte next:nächste new:neu old:alt channel:Kanal "
    "channels:Kanäle group:Gruppe team:Team friend:Freund password:Passwort date:Datum day:Tag week:Woche "
    "month:Monat year:Jahr time:Zeit today:heute tomorrow:morgen yesterday:gestern and:und or:oder the:die a:ein "
    "an:ein to:an of:von in:in on:auf at:bei for:für with:mit from:von by:von about:über my:mein your:dein me:mir "
    "you:du i:ich it:es is:ist are:sind was:war please:bitte can:kann could:könntest would:würde want:will "
    "need:brauche all:alle every:jede this:diese that:diese which:welche what:was who:wer how:wie when:wann "
    "where:wo if:wenn then:dann not:nicht no:nein also:auch after:nach before:vor between:zwischen "
    "subject:Betreff body:Text title:Titel description:Beschreibung participants:Teilnehmer recipient:Empfänger "
    "recipients:Empfänger amount:Betrag query:Abfrage text:Text url:Adresse website:Webseite page:Seite "
    "id:Kennung status:Status priority:Priorität start_time:Beginn end_time:Ende location:Ort information:Angaben "
    "details:Einzelheiten data:Daten weather:Wetter song:Lied music:Musik game:Spiel movie:Film"
)


def paraphrased(text: str) -> str:
    """The same request in other words; text without a known word or opening stays as it is.

    >>> paraphrased("Please send the summary to Ann")
    'I would like you to dispatch the digest to Ann'
    """
    for opening, other in _OPENINGS:
        text, changed = opening.subn(other, text, count=1)
        if changed:
            break
    return _swapped(text, _SYNONYMS)


def in_german(text: str) -> str:
    """Known words in German, the rest as it is.

    >>> in_german("send_email"), in_german("Find the cheapest hotel in Paris")
    ('sende_E-Mail', 'Finde die billigste Hotel in Paris')
    """
    return _swapped(text, _GERMAN)


def _swapped(text: str, table: Mapping[str, str]) -> str:
    def other(found: re.Match[str]) -> str:
        word = found[0]
        said = table.get(word.lower())
        if said is None:
            return word
        said = said.replace("_", " ")
        return said[0].upper() + said[1:] if word[0].isupper() else said

    return _WORD.sub(other, text)
