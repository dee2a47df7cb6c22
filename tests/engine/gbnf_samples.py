"""Grammars that the tests share: good ones, and bad ones with the place where they go wrong.

Knows no parser.
"""

from __future__ import annotations

JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
"""
ARITHMETIC = r"""root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""
CHESS = r"""root ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
move ::= (pawn | nonpawn | castle) [+#]?
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?
"""
GOOD = (
    JSON,
    ARITHMETIC,
    CHESS,
    'root ::= "yes" | "no"',
    "root ::= [a-z]+ . [^\\n]* # a comment",
    'root ::= ("a" |\n "b"\n | "c"){2,5} # lines may break in parentheses, and behind |',
    'root ::= "\\x41\\u00e4\\U0001F600\\t\\r\\n\\\\\\"\\[\\]\\-"',
    'root ::= ("a"*)*',
    'root ::= a b\na ::= ""\nb ::= | "b"',
    "root ::= [-a-z-]{,3}".replace("{,3}", "{0,3}"),
    'root ::= list\r\nlist ::= (item "\\n")+\r\nitem ::= [^\\n]{1,80}\r\n',
    'root ::= "ü" [ä-ö] "日本"',
)
BAD = (
    # text, line, column, part of the reason
    ("", 1, 1, "no rule named root"),
    ('foo ::= "x"', 1, 1, "no rule named root"),
    ('root = "x"', 1, 6, "::= should follow"),
    ('ro_ot ::= "x"', 1, 3, "no part of a name"),
    ('root ::= "x', 1, 10, "no closing quote"),
    ('root ::= "x\n\n', 1, 10, "no closing quote"),
    ("root ::= a\na ::= [a-z", 2, 7, "not closed"),
    ("root ::= ( a", 1, 10, "not closed"),
    ("root ::= a )", 1, 12, "')'"),
    ("root ::= a", 1, 10, "a is not defined"),
    ('root ::= "a"\n  | "b"', 2, 3, "not with '|'"),
    ('root ::= "a\\q"', 1, 12, "\\q is no escape"),
    ('root ::= "\\x4"', 1, 11, "2 hexadecimal digits"),
    ('root ::= "\\u12', 1, 11, "4 hexadecimal digits"),
    ("root ::= *", 1, 10, "nothing stands before *"),
    ('root ::= "" +', 1, 13, "nothing stands before +"),
    ('root ::= "a"{x}', 1, 14, "a number should stand here"),
    ('root ::= "a"{3', 1, 13, "not closed"),
    ('root ::= "a"{3,2}', 1, 13, "never the case"),
    ('root ::= "a"{2001}', 1, 13, "more than 2,000"),
    ('root ::= "a"{1,5000}', 1, 13, "more than 2,000"),
    ('root ::= ("a"{50}){50} ("b" "c"){40}{60}', 1, 37, "2,400 rules"),
    ("root ::= []", 1, 10, "empty"),
    ("root ::= [z-a]", 1, 11, "backwards"),
    ('root ::= "a"\nroot ::= "b"', 2, 1, "defined twice"),
    ('root ::= "a" <[5]>', 1, 14, "tokens are not supported"),
    ('root ::= !<think> "a"', 1, 10, "tokens are not supported"),
    ('root ::= "a" $', 1, 14, "'$'"),
    ('root ::= "a\0b"', 1, 12, "U+0000"),
    ('root ::= "' + "(" * 3 + '\ud800"', 1, 14, "U+D800"),
    ("root ::= " + "(" * 101 + '"a"' + ")" * 101, 1, 110, "nested deeper"),
    # what reads well and cannot be used
    ('root ::= "a"\nb ::= b "a" | "c"', 2, 1, "begin with itself"),
    ('root ::= a\na ::= b "x" | "y"\nb ::= a', 2, 1, "begin with itself"),
    ('root ::= x\nx ::= a x "c" | "d"\na ::= b\nb ::= "z"?', 2, 1, "begin with itself"),
    ('root ::= "x" root', 1, 1, "never ends"),
    ('root ::= "x" | a\na ::= "b" c\nc ::= "(" a ")"', 2, 1, "never ends"),
    ('root ::= "-" e\ne ::= "a" e "b" | "a" e "c" | "d"', 1, 1, "too many ways"),
    ('root ::= ("-" | "-")* "x"', 1, 1, "too many ways"),
    ("root ::= ([a-z]?){0,700}", 1, 1, "too many ways"),
    (
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1} | r{n + 1}\n" for n in range(40)) + 'r40 ::= "x"',
        25,
        1,
        "begin in too many",
    ),
    (
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(6000)) + 'r6000 ::= "x"',
        1002,
        1,
        "begin in too many",
    ),
    ('root ::= "x"' + " " * 300_000, 1, 1, "characters"),
    ("root ::= " + '("a"{2000}) ' * 300, 1, 1514, "elements"),
    ('root ::= "' + "a" * 1000 + '"{2000}', 1, 1012, "elements"),
)
