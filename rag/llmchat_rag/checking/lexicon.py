"""Small word lists that the checks share: English first, with the plain forms of German, French and Spanish.

Only data. Words are folded: lower case, without accents.
"""

from __future__ import annotations


def words(line: str) -> frozenset[str]:
    """Returns the words of a line."""
    return frozenset(line.split())


STOPWORDS = words(
    # English
    "a an the this that these those it its itself he she they them their theirs his her hers him i you we us our your "
    "my me of in on at by to from for with within into onto over under off out up down about as than then there here "
    "and or but so if when where while which who whom whose what how why whether though although because since "
    "is are was were be been being am has have had having do does did done will would shall should can could may might "
    "must also only just very more most much many less least such same own both either each every all any some other "
    "too not no nor never cannot without s t d ll re ve via per among between during after before until "
    "however therefore thus according according et al etc mr mrs ms dr prof still yet already again "
    # German
    "der die das den dem des ein eine einen einem einer eines und oder aber doch sondern ist sind war waren sein wird "
    "wurde wurden werden worden hat haben hatte hatten in im an am auf aus bei beim mit nach von vom vor zu zum zur um "
    "fur durch uber unter gegen ohne es er sie wir ihr man sich nicht kein keine keinen keiner keinem als wie auch nur "
    "wer was wann wo welche welcher welches wird werden will muss mindestens "
    "noch schon so sehr dass wenn weil da jahr diese dieser dieses diesem diesen sonst ca laut kann konnen soll muss "
    # French, Spanish
    "le la les l un une de du d des et ou mais est sont etait etaient a ont avait ete etre dans sur sous avec pour par "
    "pas ne n au aux en ce cette ces il elle ils elles qui que qu se sa son ses leur leurs plus apres avant "
    "el los las una unos y o pero es son era fue fueron ser con por para del al su sus que lo se como mas "
    # The words of talking about documents
    "document documents text passage passages source sources states mentions says author authors narrator speaker"
    " writer"
)

GERMAN = words("der die das und ist nicht ein eine von im wurde sind mit auf den zu bei fur")

NEGATORS = words(
    "not no never none nor neither cannot without nobody nothing nowhere hardly "
    "nicht kein keine keinen keiner keinem keines nie niemals ohne weder nirgends "
    "pas jamais aucun aucune sans nunca ningun ninguna ningunos tampoco sin non"
)
SOFT_NEGATIVES = words(
    "only except unless closed lack lacks lacked lacking fail fails failed refuse refuses refused forbid forbids "
    "forbidden prohibited banned void voids invalid unable impossible unknown absent missing excluded excludes "
    "rejected rejects denied denies prevent prevents prevented avoid avoids stop stopped ceased instead until too "
    "little few scarcely barely seldom rarely "
    "ausser nur geschlossen verboten fehlt fehlen unmoglich seulement sauf ferme interdit excepto solo salvo cerrado"
)
"""They deny without a `not`: `closed to cars` is `cars cannot enter`."""

UNIVERSAL = words(
    "all every always everyone everybody everything entirely completely exclusively invariably "
    "alle jeder jede jedes immer samtliche tous toutes toujours todos todas siempre"
)
PARTIAL = words(
    "some most many several few fewer often usually sometimes occasionally partly mostly mainly generally typically "
    "rarely only certain majority minority half manche einige viele meist meistens oft manchmal nur teils "
    "quelques plupart souvent parfois certains algunos algunas muchos solo"
)
MOST = words("most mostly mainly majority usually generally meist meistens plupart")
LITTLE = words("some few fewer several sometimes occasionally rarely minority manche einige quelques parfois algunos")
DOUBT = words(
    "suspect suspects suspected possibly perhaps maybe allegedly reportedly hypothesis hypothesise hypothesize "
    "speculate speculated speculation unconfirmed rumoured rumored presumably might "
    "vielleicht moglicherweise angeblich vermutlich vermuten peut-etre quizas posiblemente"
)
APPROXIMATE = words(
    "about around roughly nearly almost approximately some over circa ca etwa rund fast knapp environ presque casi unos"
)
BREAKS = words(
    "and but whereas while although though or und aber wahrend sondern oder et mais tandis y pero mientras who"
)
STRONG_BREAKS = words("whereas while although though wahrend tandis mientras")
BE = words("is are was were be been being gets got wird wurde wurden werden worden est sont ete fue fueron")
BY = words("by von durch par por")
CONDITIONS = words(
    "if when unless because since until where before wenn falls weil sobald bis bevor si quand lorsque parce car "
    "jusque cuando porque hasta aunque"
)
"""They begin a clause of its own."""
ALONE = words(
    "has have had will can does is are was were may must shall should hat ist sind war waren wird est sont a ont"
)
"""A clause that has one of these has a subject of its own."""

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january januar janvier enero jan",
            "february februar fevrier febrero feb",
            "march marz mars marzo mar",
            "april avril abril apr",
            "may mai mayo",
            "june juni juin junio jun",
            "july juli juillet julio jul",
            "august aout agosto aug",
            "september septembre septiembre sep sept",
            "october oktober octobre octubre oct okt",
            "november novembre noviembre nov",
            "december dezember decembre diciembre dec dez",
        ),
        start=1,
    )
    for name in names.split()
}
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday montag lundi lunes",
            "tuesday dienstag mardi martes",
            "wednesday mittwoch mercredi miercoles",
            "thursday donnerstag jeudi jueves",
            "friday freitag vendredi viernes",
            "saturday samstag samedi sabado",
            "sunday sonntag dimanche domingo",
        ),
        start=1,
    )
    for name in names.split()
}

NUMBER_WORDS = {
    word: value
    for value, words in {
        0: "zero null",
        2: "two zwei deux dos both twice",
        3: "three drei trois tres thrice",
        4: "four vier quatre cuatro",
        5: "five funf cinq cinco",
        6: "six sechs seis",
        7: "seven sieben sept siete",
        8: "eight acht huit ocho",
        9: "nine neun neuf nueve",
        10: "ten zehn dix diez",
        11: "eleven elf onze once",
        12: "twelve zwolf douze doce dozen",
        13: "thirteen dreizehn treize trece",
        14: "fourteen vierzehn quatorze catorce",
        15: "fifteen funfzehn quinze quince",
        16: "sixteen sechzehn seize",
        17: "seventeen siebzehn",
        18: "eighteen achtzehn",
        19: "nineteen neunzehn",
        20: "twenty zwanzig vingt veinte",
        30: "thirty dreissig trente treinta",
        40: "forty vierzig quarante cuarenta",
        50: "fifty funfzig cinquante cincuenta",
        60: "sixty sechzig soixante sesenta",
        70: "seventy siebzig setenta",
        80: "eighty achtzig ochenta",
        90: "ninety neunzig noventa",
    }.items()
    for word in words.split()
    if word not in ("once", "sept", "null")  # the English adverb, a month, a word of programs
}
EXTENTS = words("long old high wide deep tall thick big large lang alt hoch breit tief")


def ordinal(word: str) -> int | None:
    """Returns the number of an ordinal from twenty on, `thirtieth` or `vierzigste`; None of any other word."""
    if word.endswith("ieth"):
        return NUMBER_WORDS.get(word.removesuffix("ieth") + "y")
    for ending in ("ste", "ster", "sten", "stes"):
        if word.endswith(ending) and (value := NUMBER_WORDS.get(word.removesuffix(ending), 0)) >= 20:
            return value
    return None


SCALES = {
    word: value
    for value, words in {
        100: "hundred hundert cent cien",
        1_000: "thousand tausend mille mil",
        1_000_000: "million millions millionen mio millones",
        1_000_000_000: "billion billions milliarde milliarden mrd milliard milliards bn",
        1_000_000_000_000: "trillion trillions",
    }.items()
    for word in words.split()
}
LOOSE_NUMBERS = {
    "one": 1, "once": 1, "ein": 1, "eine": 1, "un": 1, "une": 1, "a": 1, "an": 1, "single": 1,
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "double": 2, "twin": 2, "pair": 2, "couple": 2,
}  # fmt: skip
"""They may stand for a number, and more often do not: a claim need not prove them, a passage may with them."""
