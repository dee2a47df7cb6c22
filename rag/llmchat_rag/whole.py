"""Questions about a whole document, which no five passages answer: recognised by their plain forms.

Where none is seen the question is searched like any other. Knows names of documents, not what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Kind = Literal["summary", "outline", "about"]

_DOCUMENT = (
    r"(?:documents?|docs?|files?|texts?|papers?|articles?|books?|reports?|pdfs?|notes?|pages?|contents?|context"
    r"|dokumente?s?|datei(?:en)?|textes?|berichts?|artikels?|buch(?:e?s)?|seiten?|notizen|inhalts?"
    r"|fichiers?|livres?|rapports?|contenu|documentos?|archivos?|textos?|informes?|libros?|contenido|artículos?"
    r"|documenti?|testo|libro|articolo|relazione|arquivos?|relatórios?|livros?|bestand(?:en)?|tekst|boek|verslag)"
)
_IT = rf"(?:it|this|that|all of (?:it|this)|everything|{_DOCUMENT})"
_FORMS: dict[Kind, tuple[str, ...]] = {
    "outline": (
        r"\boutline\b|\btable of contents\b|\bstructure of\b|\bhow (?:is|are) .* (?:structured|organi[sz]ed)\b",
        r"\b(?:chapters|sections|headings|topics) (?:of|in|are|does)\b",
        r"\bgliederung\b|\binhaltsverzeichnis\b|\baufbau d\w+\b|\bgegliedert\b|\bwelche (?:kapitel|themen)\b",
        r"\bplan (?:du|de la|des)\b|\btable des matières\b|\bstructure (?:du|de)\b",
        r"\besquema\b|\bíndice\b|\bestructura del?\b|\bestrutura d\w\b|\bindice d\w+\b|\bstruttura d\w+\b",
        r"\binhoudsopgave\b|оглавление|大纲|目录|目次|개요|목차",
    ),
    "summary": (
        r"\bsummar(?:y|ies|i[sz]e[sd]?|i[sz]ing)\b|\btl;?dr\b|\bsum up\b|\bgist of\b|\boverview of\b",
        r"\b(?:key|main) (?:points|ideas|takeaways)\b|\babstract of\b",
        r"\bzusammenfass(?:ung|en)\b|\bfass(?:e|t|en)?\b.*\bzusammen\b|\bkernaussagen\b|\bwichtigsten punkte\b",
        r"\brésum(?:é|e[rz]?|és)\b|\bpoints? (?:clés?|principaux)\b|\bsynthèse d\w",
        r"\bresum(?:e|en|ir|ime|o|a|ão)\b|\bpuntos (?:clave|principales)\b|\bpontos principais\b",
        r"\briass(?:unto|umi|umere|umimi)\b|\bpunti (?:chiave|principali)\b",
        r"\bsamenvatt(?:en|ing)\b|\bvat\b.*\bsamen\b|\bhoofdpunten\b",
        r"кратко(?:е)? (?:изложи|содержание|перескажи)|резюм(?:е|ируй)|суммируй",
        r"总结|摘要|概括|概要|要約|まとめて|요약",
    ),
    "about": (
        rf"\bwhat(?:'s| is| are|s)?\b.{{0,30}}\b{_IT}\b.{{0,20}}\babout\b",
        rf"\bwhat does (?:the |this )?{_IT} (?:say|cover|contain|describe)\s*\??$",
        rf"\bdescribe (?:the |this |these )?{_DOCUMENT}\b|\bwhat(?:'s| is) in (?:the |this |these |my )?{_DOCUMENT}\b",
        r"\bwhat(?:'s| is) \S+\.\w{1,5} about\b",
        r"\bworum geht\b|\bwovon handel[nt]\b|\bwas steht in\b",
        r"\bde quoi (?:parle|traite|s'agit)\b|\bque contient\b",
        r"\bde qué (?:trata|habla|va)\b|\bdo que (?:trata|fala)\b|\bdi (?:che )?cosa (?:parla|tratta)\b",
        r"\bwaar gaat\b.*\bover\b|о чём|о чем|讲了什么|讲什么|关于什么|何について|무엇에 (?:관한|대한)",
    ),
}
_NARROW = re.compile(
    r"\b(?:say|says|said|mentions?|mentioned|states?)\b.*\babout\b"
    r"|\b(?:chapter|section|part|paragraph|kapitel|abschnitt|chapitre|capítulo)\b\s*(?:\d|on\b|about\b|über\b|zu\b|sur\b)"
    r"|\b(?:summar\w+|overview|gist)\b.*\babout\s+(?!it\b|this\b|that\b)\w+"
    r"|\b(?:summary|overview|gist|outline|structure) of (?:what|how|why|the (?!" + _DOCUMENT + r"\b))",
    re.IGNORECASE,
)
"""One topic of a document is searched: `summarize the section on tides`, `what does it say about tides`."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A question about whole documents."""

    kind: Kind
    paths: tuple[str, ...]
    """The documents that it names, or the only one there is."""


def recognise(question: str, paths: Sequence[str]) -> Whole | None:
    """Returns which documents a question asks about as a whole, or None where it looks for something in them.

    Args:
        question: as it was typed.
        paths: the documents that may be meant, as they are cited.
    """
    named = _named(question, paths)
    question = _without(question, named)
    kind = _kind(question)
    if kind is None or _NARROW.search(question):
        return None
    chosen = named or (tuple(paths) if len(paths) == 1 else ())
    return Whole(kind, chosen) if chosen else None


def _kind(question: str) -> Kind | None:
    for kind, forms in _FORMS.items():
        if any(re.search(form, question, re.IGNORECASE) for form in forms):
            return kind
    return None


def _named(question: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Returns the paths that a question names: whole, by the file's name, or by its name without the ending."""
    for spell in (str, lambda path: PurePosixPath(path).name, lambda path: PurePosixPath(path).stem):
        found = [path for path in paths if len(spell(path)) > 3 and re.search(_spoken(spell(path)), question)]
        if found:
            return tuple(found)
    return ()


def _spoken(name: str) -> str:
    """Returns a pattern for a name as people write it: any case, spaces for dashes."""
    words = (re.escape(word) for word in re.split(r"[-_ ]+", name))
    return rf"(?i)(?<![\w/.-]){'[-_ ]+'.join(words)}(?![\w/-])"


def _without(question: str, named: Sequence[str]) -> str:
    """Returns the question with `this document` for the documents that it names."""
    for path in named:
        pure = PurePosixPath(path)
        for name in (path, pure.name, pure.stem):
            question = re.sub(_spoken(name), "document", question)
    return question
