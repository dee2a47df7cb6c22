"""Units: what a number counts, and by how much one unit is greater than another. Only data and one look-up."""

from __future__ import annotations

from dataclasses import dataclass

_EXACT: dict[str, dict[str, float]] = {
    "time": {"s": 1, "ms": 1e-3, "min": 60, "h": 3600},
    "length": {"mm": 1e-3, "cm": 1e-2, "m": 1, "km": 1e3, "nm": 1e-9, "µm": 1e-6, "ft": 0.3048, "mi": 1609.344},
    "mass": {"µg": 1e-9, "mg": 1e-6, "g": 1e-3, "kg": 1, "t": 1e3, "lb": 0.45359237, "lbs": 0.45359237},
    "volume": {"ml": 1e-3, "mL": 1e-3, "cl": 1e-2, "dl": 0.1, "l": 1, "L": 1},
    "celsius": {"°C": 1, "℃": 1},
    "fahrenheit": {"°F": 1, "℉": 1},
    "kelvin": {"K": 1},
    "angle": {"°": 1},
    "power": {"mW": 1e-3, "W": 1, "kW": 1e3, "MW": 1e6, "GW": 1e9, "TW": 1e12},
    "energy": {"Wh": 1, "kWh": 1e3, "MWh": 1e6, "GWh": 1e9, "TWh": 1e12},
    "joule": {"J": 1, "kJ": 1e3, "MJ": 1e6},
    "voltage": {"mV": 1e-3, "V": 1, "kV": 1e3},
    "current": {"mA": 1e-3, "A": 1, "mAh": 1},
    "frequency": {"Hz": 1, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "bytes": {
        "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
        "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    },
    "rate": {
        "bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "kbps": 1e3, "Mbps": 1e6, "Gbps": 1e9,
        "MB/s": 8e6, "GB/s": 8e9,
    },
    "speed": {"m/s": 3.6, "km/h": 1, "mph": 1.609344, "kn": 1.852},
    "pressure": {"Pa": 1, "hPa": 100, "kPa": 1e3, "MPa": 1e6, "bar": 1e5, "mbar": 100, "mmHg": 133.322},
    "area": {"m²": 1, "m2": 1, "km²": 1e6, "km2": 1e6, "ha": 1e4, "cm²": 1e-4},
    "cubic": {"m³": 1, "m3": 1, "km³": 1e9, "cm³": 1e-6},
    "euro": {"€": 1, "EUR": 1},
    "dollar": {"$": 1, "USD": 1, "US$": 1},
    "sterling": {"£": 1, "GBP": 1},
    "yen": {"¥": 1, "JPY": 1},
    "franc": {"CHF": 1, "Fr.": 1},
    "percent": {"%": 1, "‰": 0.1},
    "tokens": {"tokens": 1, "token": 1},
}  # fmt: skip
_WORDS: dict[str, dict[str, float]] = {
    "time": {
        "second seconds sec secs sekunde sekunden seconde secondes segundos": 1,
        "millisecond milliseconds": 1e-3,
        "minute minutes mins minuten minutos": 60,
        "hour hours hrs stunde stunden heure heures hora horas": 3600,
        "day days tag tage tagen jour jours dia dias": 86400,
        "week weeks woche wochen semaine semaines semana semanas": 604800,
        "month months monat monate monaten mois mes meses": 2629800,
        "year years jahr jahre jahren an ans annee annees ano anos": 31557600,
        "decade decades jahrzehnt jahrzehnte": 315576000,
        "century centuries jahrhundert jahrhunderte siecle siecles": 3155760000,
    },
    "length": {
        "millimetre millimetres millimeter millimeters": 1e-3,
        "centimetre centimetres centimeter centimeters zentimeter": 1e-2,
        "metre metres meter meters metern": 1,
        "kilometre kilometres kilometer kilometers kilometern": 1e3,
        "inch inches zoll": 0.0254,
        "foot feet": 0.3048,
        "yard yards": 0.9144,
        "mile miles meile meilen": 1609.344,
    },
    "mass": {
        "milligram milligrams milligramm": 1e-6,
        "gram grams gramm gramme grammes": 1e-3,
        "kilogram kilograms kilo kilos kilogramm": 1,
        "tonne tonnes ton tons tonnen": 1e3,
        "pound pounds": 0.45359237,
        "ounce ounces": 0.028349523,
    },
    "volume": {
        "litre litres liter liters litern": 1,
        "millilitre millilitres milliliter": 1e-3,
        "gallon gallons": 3.785,
    },
    "power": {"watt watts": 1, "kilowatt kilowatts": 1e3, "megawatt megawatts": 1e6, "gigawatt gigawatts": 1e9},
    "bytes": {"byte bytes": 1, "kilobytes": 1e3, "megabyte megabytes": 1e6, "gigabyte gigabytes": 1e9},
    "area": {"hectare hectares hektar": 1e4},
    "euro": {"euro euros": 1, "cent cents": 0.01},
    "dollar": {"dollar dollars": 1},
    "krone": {"krone kroner kronor krona": 1},
    "franc": {"franc francs franken": 1},
    "mark": {"mark": 1},
    "yen": {"yen": 1},
    "percent": {"percent prozent pourcent": 1},
    "points": {"percentage": 1},
}


@dataclass(frozen=True, slots=True)
class Unit:
    """What is counted, and how many of its dimension's least unit this one is."""

    dimension: str
    factor: float = 1.0


EXACT = {symbol: Unit(d, float(f)) for d, symbols in _EXACT.items() for symbol, f in symbols.items()}
WORDS = {word: Unit(d, float(f)) for d, words in _WORDS.items() for line, f in words.items() for word in line.split()}
CURRENCIES = frozenset("€$£¥")


def unit_of(text: str, folded: str) -> Unit | None:
    """Returns the unit that a word spells, or None.

    Args:
        text: as it is written: `MW` and `mW` are two units.
        folded: in lower case, for those that are words.
    """
    return EXACT.get(text) or WORDS.get(folded)
