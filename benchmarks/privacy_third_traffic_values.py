import base64
import hashlib
import json
import string
import zlib

VALUES = {}
TYPES = {}


def kind(name, typ):
    def d(f):
        VALUES[name] = f
        TYPES[name] = typ
        return f

    return d


DIG = string.digits
LOW = string.ascii_lowercase
UP = string.ascii_uppercase
B62 = DIG + UP + LOW
ALNUM = LOW + UP + DIG
URLS = ALNUM + "-_"
HEX = "0123456789abcdef"
B32 = UP + "234567"


def pick(r, al, n):
    return "".join(r.choice(al) for _ in range(n))


def num(r, n):
    return pick(r, DIG, n)


def nz(r, n):
    return r.choice("123456789") + num(r, n - 1)


def w(r, *pairs):
    """weighted choice of (weight, value)"""
    return r.choices([p[1] for p in pairs], [p[0] for p in pairs])[0]


def grp(s, *ns, sep=" "):
    out = []
    i = 0
    for n in ns:
        out.append(s[i : i + n])
        i += n
    if i < len(s):
        out.append(s[i:])
    return sep.join(out)


def four(s):
    return " ".join(s[i : i + 4] for i in range(0, len(s), 4))


def luhn(s):
    t = 0
    for i, c in enumerate(reversed(s)):
        d = int(c)
        if i % 2 == 0:
            d *= 2
            if d > 9:
                d -= 9
        t += d
    return str(-t % 10)


def rbytes(r, n):
    return bytes(r.getrandbits(8) for _ in range(n))


def b64(b):
    return base64.b64encode(b).decode()


def b64u(b):
    return base64.urlsafe_b64encode(b).decode().rstrip("=")


def date(r, y0, y1):
    m = r.randint(1, 12)
    return r.randint(y0, y1), m, r.randint(1, 28 if m == 2 else 30)


# ---------------------------------------------------------------- e-mail
FIRST = {
    "en": "james emma oliver sarah michael rachel dave karen tom lucy priya steve nicole ben hannah kevin megan josh amy greg laura chris jenna paul beth marcus tina aaron holly raj fiona derek simone".split(),
    "de": "thomas sabine stefan julia markus anna michael petra jens katrin andreas lena uwe monika florian claudia timo birgit lukas heike tobias anja".split(),
    "fr": "julien camille thomas sophie nicolas marie pierre claire antoine lea vincent isabelle mathieu celine laurent chloe fabrice nathalie olivier manon".split(),
    "es": "carlos lucia javier marta antonio elena pablo carmen sergio laura alvaro rocio diego nuria miguel cristina raul pilar".split(),
    "it": "marco giulia luca francesca andrea chiara matteo elisa davide valentina stefano paola simone federica alessio martina".split(),
    "nl": "jan sanne pieter lotte daan femke bas marieke jeroen anouk".split(),
    "pt": "joao mariana tiago ines pedro catarina rui beatriz bruno carla".split(),
}
LAST = {
    "en": "walker hughes miller patel brooks carter nguyen evans murphy bennett foster coleman reed shah hayes turner okafor griffin lawson price dunn whitaker morales kim stone".split(),
    "de": "mueller schneider weber wagner becker hoffmann koch richter klein wolf schroeder neumann krueger hartmann lange vogt brandt kuhn seidel engel".split(),
    "fr": "martin bernard dubois moreau laurent girard lefebvre roux fontaine chevalier garnier perrin marchand renaud leclerc barbier".split(),
    "es": "garcia martinez lopez sanchez romero navarro torres dominguez vazquez ramos gil serrano molina ortega delgado castro".split(),
    "it": "rossi ferrari esposito bianchi romano colombo ricci marino greco conti costa giordano mancini lombardi moretti barbieri".split(),
    "nl": "devries jansen bakker visser smit meijer mulder dekker vanderberg hendriks".split(),
    "pt": "silva santos ferreira pereira oliveira costa rodrigues martins sousa carvalho".split(),
}
FREE = {
    "en": [
        (9, "gmail.com"),
        (3, "outlook.com"),
        (3, "yahoo.com"),
        (3, "hotmail.com"),
        (2, "icloud.com"),
        (1, "aol.com"),
        (1, "btinternet.com"),
        (1, "hotmail.co.uk"),
        (1, "proton.me"),
        (1, "comcast.net"),
        (1, "yahoo.co.uk"),
    ],
    "de": [
        (5, "gmx.de"),
        (5, "web.de"),
        (5, "gmail.com"),
        (2, "t-online.de"),
        (1, "gmx.net"),
        (1, "outlook.de"),
        (1, "posteo.de"),
        (1, "freenet.de"),
        (1, "googlemail.com"),
    ],
    "fr": [
        (6, "gmail.com"),
        (3, "orange.fr"),
        (2, "wanadoo.fr"),
        (2, "free.fr"),
        (2, "hotmail.fr"),
        (1, "laposte.net"),
        (1, "sfr.fr"),
        (1, "yahoo.fr"),
        (1, "outlook.fr"),
    ],
    "es": [
        (8, "gmail.com"),
        (3, "hotmail.com"),
        (1, "hotmail.es"),
        (1, "yahoo.es"),
        (1, "outlook.es"),
        (1, "telefonica.net"),
    ],
    "it": [
        (6, "gmail.com"),
        (3, "libero.it"),
        (2, "hotmail.it"),
        (1, "alice.it"),
        (1, "virgilio.it"),
        (1, "tiscali.it"),
        (1, "pec.it"),
    ],
    "nl": [(5, "gmail.com"), (2, "ziggo.nl"), (2, "hotmail.com"), (1, "kpnmail.nl"), (1, "xs4all.nl")],
    "pt": [(6, "gmail.com"), (2, "sapo.pt"), (2, "hotmail.com"), (1, "uol.com.br"), (1, "bol.com.br")],
}
CORP = {
    "en": "northgate-logistics brightwell hallmarkdental ridgelineco apexfreight stonebridgelaw novacare-health fairviewschools kestrelpower millerandsons clearpathhr quantico-labs greenfieldfoods tallyworks".split(),
    "de": "hartmann-technik bauer-logistik stadtwerke-neustadt medizentrum-sued kanzlei-vogt nordlicht-media holzbau-lange rheinpumpen autohaus-engel".split(),
    "fr": "cabinet-moreau transports-girard mairie-valbonne boulangerie-perrin solutech-ingenierie groupe-lumiere ehpad-lestilleuls".split(),
    "es": "gestoria-navarro talleresgil clinicavega logisticasur construccionesramos hotelmirador academiacumbre".split(),
    "it": "studioconti officinerossi farmaciacentrale edilromano ceramichemarino viaggigreco".split(),
    "nl": "bakkerinstallatie zorggroepwest dekkertransport".split(),
    "pt": "contacerta clinicaatlantico transportessousa".split(),
}
TLD = {
    "en": ["com", "com", "com", "co.uk", "org", "io", "net"],
    "de": ["de", "de", "de", "com"],
    "fr": ["fr", "fr", "com"],
    "es": ["es", "com"],
    "it": ["it", "it", "com"],
    "nl": ["nl"],
    "pt": ["pt", "com.br"],
}


def mail_private(r, l):
    f, s = r.choice(FIRST[l]), r.choice(LAST[l])
    local = w(
        r,
        (6, f"{f}.{s}"),
        (4, f"{f}{s}"),
        (4, f"{f}.{s}{r.randint(1, 99)}"),
        (4, f"{f}{s}{r.randint(60, 99)}"),
        (3, f"{f[0]}{s}"),
        (2, f"{f[0]}.{s}{r.randint(1960, 2004)}"),
        (2, f"{s}.{f}"),
        (2, f"{f}_{s}"),
        (1, f"{f}{s[0]}{r.randint(1, 999)}"),
        (1, f"{s}family{r.randint(1, 9)}"),
        (
            1,
            f"{r.choice(['sunny', 'blue', 'rock', 'happy', 'lil', 'mad', 'cat', 'moto', 'star'])}{r.choice(['girl', 'rider', 'bear', 'fox', '_', 'lover', 'man'])}{r.randint(1, 2009)}",
        ),
        (1, f"{f}-{s}"),
    )
    d = w(r, *FREE[l])
    if d == "gmail.com" and r.random() < 0.07:
        local += r.choice(["+shop", "+work", "+news", "+test"])
    if r.random() < 0.05:
        local = local.title()
    return local + "@" + d


def mail_work(r, l):
    f, s = r.choice(FIRST[l]), r.choice(LAST[l])
    local = w(
        r,
        (8, f"{f}.{s}"),
        (3, f"{f[0]}.{s}"),
        (3, f"{f[0]}{s}"),
        (2, f),
        (1, f"{f}_{s}"),
        (1, f"{s}.{f[0]}"),
        (1, f"{s}"),
    )
    return local + "@" + r.choice(CORP[l]) + "." + r.choice(TLD[l])


def mixmail(l):
    return lambda r: mail_private(r, l) if r.random() < 0.6 else mail_work(r, l)


kind("email", "EMAIL_ADDRESS")(lambda r: mail_private(r, "en"))
kind("email_work", "EMAIL_ADDRESS")(lambda r: mail_work(r, "en"))
for _l in "de fr es it nl pt".split():
    kind("email_" + _l, "EMAIL_ADDRESS")(mixmail(_l))


# ---------------------------------------------------------------- phones
@kind("phone_us", "PHONE_NUMBER")
def _(r):
    a = r.choice(
        "201 202 203 206 212 213 214 215 216 224 240 267 303 305 310 312 314 323 330 336 347 360 402 404 407 408 412 415 424 425 469 480 503 504 510 512 516 520 540 559 562 571 585 602 603 605 612 614 615 617 619 626 630 646 650 678 702 703 704 713 714 716 717 718 720 732 754 757 773 786 801 803 804 805 813 816 818 832 847 858 860 901 904 908 913 914 916 917 918 919 925 949 951 954 971 972 978 984".split()
    )
    b = r.choice("23456789") + r.choice("02345678") + r.choice(DIG)
    if b == "555":
        b = "558"
    c = num(r, 4)
    return w(
        r,
        (8, f"({a}) {b}-{c}"),
        (8, f"{a}-{b}-{c}"),
        (3, f"{a}.{b}.{c}"),
        (3, f"{a}{b}{c}"),
        (3, f"+1 {a}-{b}-{c}"),
        (2, f"+1 ({a}) {b}-{c}"),
        (2, f"+1{a}{b}{c}"),
        (2, f"{a} {b} {c}"),
        (1, f"1-{a}-{b}-{c}"),
        (1, f"({a}){b}-{c}"),
    )


@kind("phone_uk", "PHONE_NUMBER")
def _(r):
    if r.random() < 0.7:
        p = r.choice(
            [
                "7400",
                "7415",
                "7446",
                "7463",
                "7488",
                "7501",
                "7515",
                "7540",
                "7561",
                "7590",
                "7701",
                "7712",
                "7739",
                "7754",
                "7769",
                "7780",
                "7791",
                "7801",
                "7815",
                "7837",
                "7850",
                "7877",
                "7890",
                "7900",
                "7912",
                "7939",
                "7956",
                "7976",
                "7985",
            ]
        )
        t = num(r, 6)
        return w(
            r,
            (6, f"0{p} {t}"),
            (5, f"0{p}{t}"),
            (3, f"0{p} {t[:3]} {t[3:]}"),
            (3, f"+44 {p} {t}"),
            (2, f"+44{p}{t}"),
            (1, f"+44 (0){p} {t}"),
            (1, f"0{p}-{t}"),
        )
    a, b, c = r.choice(
        [
            ("20", "7" + num(r, 3), num(r, 4)),
            ("20", "8" + num(r, 3), num(r, 4)),
            ("161", r.choice("234678") + num(r, 2), num(r, 4)),
            ("121", r.choice("23467") + num(r, 2), num(r, 4)),
            ("113", "2" + num(r, 2), num(r, 4)),
            ("141", r.choice("234") + num(r, 2), num(r, 4)),
        ]
    )
    if r.random() < 0.4:
        a, b, c = (
            r.choice(["1273", "1865", "1223", "1904", "1392", "1752", "1603"]),
            r.choice("234567") + num(r, 2),
            num(r, 3),
        )
    return w(
        r,
        (6, f"0{a} {b} {c}"),
        (2, f"0{a}{b}{c}"),
        (2, f"(0{a}) {b} {c}"),
        (2, f"+44 {a} {b} {c}"),
        (1, f"+44 (0){a} {b} {c}"),
        (1, f"0{a} {b}{c}"),
    )


@kind("phone_fr", "PHONE_NUMBER")
def _(r):
    p = w(r, (6, "6"), (2, "7"), (1, "1"), (1, "4"), (1, "2"), (1, "5"), (1, "3"), (1, "9"))
    second = {
        "7": r.choice("56789"),
        "1": r.choice("34"),
        "4": r.choice("279"),
        "2": r.choice("3459"),
        "5": r.choice("356"),
        "3": r.choice("28"),
        "9": r.choice("578"),
        "6": r.choice("012345678"),
    }[p]
    g = [second + num(r, 1)] + [num(r, 2) for _ in range(3)]
    if p == "6" and g[0] == "39":
        g[0] = "38"
    if p == "7" and g[0][0] == "5":
        g[0] = "8" + g[0][1]
    return w(
        r,
        (8, f"0{p} " + " ".join(g)),
        (4, f"0{p}" + "".join(g)),
        (3, f"0{p}." + ".".join(g)),
        (3, f"+33 {p} " + " ".join(g)),
        (1, f"+33{p}" + "".join(g)),
        (1, f"+33 (0){p} " + " ".join(g)),
        (1, f"0{p}-" + "-".join(g)),
    )


@kind("phone_de", "PHONE_NUMBER")
def _(r):
    if r.random() < 0.62:
        p = r.choice(
            [
                "151",
                "157",
                "159",
                "160",
                "162",
                "163",
                "170",
                "171",
                "172",
                "173",
                "174",
                "175",
                "176",
                "177",
                "178",
                "179",
            ]
        )
        n = nz(r, 8 if p in ("151", "157", "159", "176") else 7)
        if p == "176":
            n = r.choice("245678") + n[1:]
        if p == "151":
            n = r.choice("125") + n[1:]
        if p == "157":
            n = r.choice("357") + n[1:]
        if p == "159":
            n = "0" + n[1:]
        return w(
            r,
            (5, f"0{p} {n}"),
            (4, f"0{p}/{n}"),
            (3, f"0{p}{n}"),
            (3, f"+49 {p} {n}"),
            (2, f"+49{p}{n}"),
            (2, f"0{p}-{n}"),
            (1, f"0{p} {n[:3]} {n[3:]}"),
            (1, f"0049{p}{n}"),
            (1, f"0{p} / {n[:4]} {n[4:]}"),
            (1, f"+49 (0){p} {n}"),
        )
    a = r.choice(
        [
            "30",
            "40",
            "89",
            "69",
            "221",
            "211",
            "711",
            "511",
            "341",
            "351",
            "421",
            "911",
            "231",
            "201",
            "6221",
            "7071",
            "8031",
            "2151",
            "441",
            "761",
            "9131",
        ]
    )
    n = nz(r, 8 if len(a) == 2 else 6)
    n = r.choice("2345678") + n[1:]
    return w(
        r,
        (5, f"0{a} {n}"),
        (4, f"0{a}/{n}"),
        (3, f"0{a} / {n[:3]} {n[3:]}"),
        (2, f"+49 {a} {n}"),
        (2, f"0{a}-{n}"),
        (1, f"0{a} {n[:-2]}-{n[-2:]}"),
        (1, f"(0{a}) {n}"),
        (1, f"+49 (0){a} {n[:-2]}-{n[-2:]}"),
    )


@kind("phone_es", "PHONE_NUMBER")
def _(r):
    n = w(
        r,
        (7, "6" + num(r, 8)),
        (1, "7" + r.choice("1234") + num(r, 7)),
        (1, "91" + r.choice("2345678") + num(r, 6)),
        (1, "93" + r.choice("2345678") + num(r, 6)),
        (1, "95" + r.choice("45") + r.choice("2345678") + num(r, 5)),
    )
    s = w(
        r,
        (5, grp(n, 3, 3, 3)),
        (4, n),
        (3, grp(n, 3, 2, 2, 2)),
        (1, grp(n, 3, 3, 3, sep="-")),
        (1, grp(n, 3, 3, 3, sep=".")),
    )
    return w(r, (7, s), (2, "+34 " + s), (1, "+34" + n), (1, "0034 " + n))


@kind("phone_it", "PHONE_NUMBER")
def _(r):
    if r.random() < 0.78:
        p = r.choice(
            "320 324 327 328 329 331 333 334 335 338 339 340 342 345 346 347 348 349 351 366 368 370 380 388 389 391 392 393".split()
        )
        n = nz(r, 7)
        return w(
            r,
            (5, f"{p} {n}"),
            (4, f"{p}{n}"),
            (3, f"{p} {n[:3]} {n[3:]}"),
            (2, f"+39 {p} {n}"),
            (1, f"+39{p}{n}"),
            (1, f"{p}/{n}"),
            (1, f"{p} {n[:2]} {n[2:4]} {n[4:]}"),
            (1, f"{p}-{n}"),
        )
    a = r.choice(["02", "06", "011", "051", "055", "081", "091", "010", "049", "045"])
    n = r.choice("23456789") + num(r, 7 if len(a) == 2 else 6)
    return w(r, (4, f"{a} {n}"), (2, f"{a}/{n}"), (2, f"{a}{n}"), (1, f"+39 {a} {n}"), (1, f"{a}-{n}"))


@kind("phone_in", "PHONE_NUMBER")
def _(r):
    n = r.choice(["98", "99", "97", "96", "90", "91", "88", "87", "70", "79", "63", "81", "95"]) + num(r, 8)
    return w(
        r,
        (5, f"+91 {n[:5]} {n[5:]}"),
        (5, n),
        (3, f"+91-{n}"),
        (2, f"+91{n}"),
        (2, f"{n[:5]} {n[5:]}"),
        (1, f"0{n}"),
        (1, f"91{n}"),
        (1, f"+91 {n}"),
    )


@kind("phone_nl", "PHONE_NUMBER")
def _(r):
    if r.random() < 0.75:
        n = r.choice("12345") + num(r, 7)
        return w(
            r,
            (5, f"06-{n}"),
            (4, f"06 {grp(n, 2, 2, 2, 2)}"),
            (3, f"06{n}"),
            (2, f"+31 6 {n}"),
            (1, f"+316{n}"),
            (1, f"06 {n}"),
        )
    n = r.choice("234567") + num(r, 6)
    return w(r, (3, f"020-{n}"), (2, f"010 {n[:3]} {n[3:5]} {n[5:]}"), (1, f"+31 20 {n}"))


@kind("phone_pt", "PHONE_NUMBER")
def _(r):
    n = r.choice(["91", "92", "93", "96"]) + num(r, 7)
    if n[:2] == "92":
        n = "92" + r.choice("1234567") + n[3:]
    return w(r, (5, grp(n, 3, 3, 3)), (3, n), (2, "+351 " + grp(n, 3, 3, 3)), (1, "+351" + n), (1, grp(n, 2, 3, 2, 2)))


@kind("phone_br", "PHONE_NUMBER")
def _(r):
    a = r.choice("11 21 31 41 51 61 71 81 85 19 48".split())
    n = "9" + r.choice("6789") + num(r, 7)
    return w(
        r,
        (5, f"({a}) {n[:5]}-{n[5:]}"),
        (2, f"{a} {n[:5]}-{n[5:]}"),
        (2, f"{a}{n}"),
        (2, f"+55 {a} {n[:5]}-{n[5:]}"),
        (1, f"+55 ({a}) {n[:5]}-{n[5:]}"),
    )


@kind("phone_at", "PHONE_NUMBER")
def _(r):
    p = r.choice(["664", "660", "676", "699", "650"])
    n = nz(r, 7)
    return w(
        r,
        (4, f"0{p} {n}"),
        (3, f"0{p}/{n}"),
        (3, f"+43 {p} {n}"),
        (1, f"0{p}{n}"),
        (1, f"+43{p}{n}"),
        (1, f"0{p} {n[:3]} {n[3:]}"),
    )


# ---------------------------------------------------------------- cards
def card(r, bin_, n):
    s = bin_ + num(r, n - 1 - len(bin_))
    return s + luhn(s)


def card16(r, s):
    return w(r, (7, four(s)), (4, s), (2, "-".join(s[i : i + 4] for i in range(0, 16, 4))))


@kind("card_visa", "CREDIT_CARD")
def _(r):
    return card16(
        r,
        card(
            r, r.choice("4147 4532 4539 4543 4658 4751 4833 4929 4970 4976 4019 4388 4400 4263 4716 4921".split()), 16
        ),
    )


@kind("card_mastercard", "CREDIT_CARD")
def _(r):
    return card16(
        r,
        card(
            r,
            r.choice("5101 5134 5218 5255 5310 5356 5404 5413 5425 5466 5500 5573 2221 2315 2408 2720".split())
            if r.random() < 0.97
            else "5355",
            16,
        ),
    )


@kind("card_amex", "CREDIT_CARD")
def _(r):
    s = card(r, r.choice(["3712", "3715", "3728", "3744", "3759", "3782", "3467"]), 15)
    return w(r, (6, grp(s, 4, 6, 5)), (4, s), (1, grp(s, 4, 6, 5, sep="-")))


@kind("card_discover", "CREDIT_CARD")
def _(r):
    return card16(r, card(r, r.choice(["6011", "6500", "6511"]), 16))


@kind("card_raw", "CREDIT_CARD")
def _(r):
    return card(r, r.choice("4147 4539 4658 4929 4976 5134 5255 5413 5466 2315".split()), 16)


# ---------------------------------------------------------------- IBAN and bank accounts
def n97(s):
    return int("".join(str(int(c, 36)) for c in s)) % 97


def iban(r, cc, bban):
    s = cc + "%02d" % (98 - n97(bban + cc + "00")) + bban
    return w(r, (7, four(s)), (4, s))


ODD = dict(
    zip(
        DIG + UP,
        [
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            2,
            4,
            18,
            20,
            11,
            3,
            6,
            8,
            12,
            14,
            16,
            10,
            22,
            25,
            24,
            23,
        ],
        strict=False,
    )
)


def it_check(s):
    return UP[sum(ODD[c] if i % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for i, c in enumerate(s)) % 26]


@kind("iban_de", "IBAN_CODE")
def _(r):
    return iban(
        r,
        "DE",
        r.choice(
            "37040044 50010517 10050000 20050550 43060967 12030000 70150000 50040000 76026000 10010010 50010060 66050101 25050180 30050110 60050101 11010101 10011001".split()
        )
        + w(r, (3, "0" + nz(r, 9)), (3, nz(r, 10)), (2, "00" + nz(r, 8))),
    )


@kind("iban_at", "IBAN_CODE")
def _(r):
    return iban(r, "AT", r.choice(["20111", "12000", "32000", "14000", "60000", "43000", "20815"]) + "00" + num(r, 9))


@kind("iban_ch", "IBAN_CODE")
def _(r):
    return iban(r, "CH", r.choice(["09000", "00700", "00230", "80808", "00762", "04835"]) + "000" + num(r, 9))


def fr_rib(r):
    b, g = (
        r.choice(
            ["30003", "30004", "30002", "20041", "10278", "30066", "14506", "16958", "12506", "17515", "18206", "13335"]
        ),
        "%05d" % r.randint(1, 3000),
    )
    c = "000" + num(r, 8) if r.random() < 0.6 else num(r, 11)
    if b == "20041":
        g = "0100" + r.choice("135")
        c = num(r, 7) + r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") + "0" + num(r, 2)
    tr = lambda s: int(s.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "12345678912345678923456789")))
    return b, g, c, "%02d" % (97 - (89 * tr(b) + 15 * tr(g) + 3 * tr(c)) % 97)


@kind("iban_fr", "IBAN_CODE")
def _(r):
    return iban(r, "FR", "".join(fr_rib(r)))


@kind("iban_gb", "IBAN_CODE")
def _(r):
    b, s = r.choice(
        [
            ("BARC", "20"),
            ("NWBK", "60"),
            ("HBUK", "40"),
            ("LOYD", "30"),
            ("MONZ", "04"),
            ("SRLG", "60"),
            ("REVO", "00"),
            ("ABBY", "09"),
        ]
    )
    return iban(r, "GB", b + s + num(r, 4) + num(r, 8))


@kind("iban_es", "IBAN_CODE")
def _(r):
    b = r.choice(["2100", "0049", "0182", "2080", "0128", "0081", "1465", "0073", "2085", "3058"])
    o = "%04d" % r.randint(1, 6500)
    c = num(r, 10)

    def dc(s):
        d = 11 - sum(int(x) * k for x, k in zip(s, [1, 2, 4, 8, 5, 10, 9, 7, 3, 6], strict=False)) % 11
        return str({11: 0, 10: 1}.get(d, d))

    return iban(r, "ES", b + o + dc("00" + b + o) + dc(c) + c)


@kind("iban_it", "IBAN_CODE")
def _(r):
    s = (
        r.choice(["03069", "02008", "05034", "01030", "07601", "36772", "05387", "03015", "08327"])
        + r.choice(["01600", "03200", "09606", "05000", "11010", "03500", "13900", "02800"])
        + "%012d" % r.randint(1000, 999999999)
    )
    return iban(r, "IT", it_check(s) + s)


@kind("iban_nl", "IBAN_CODE")
def _(r):
    while True:
        s = "0" + nz(r, 9)
        if sum(int(c) * k for c, k in zip(s, range(10, 0, -1), strict=False)) % 11 == 0:
            break
    return iban(r, "NL", r.choice(["INGB", "RABO", "ABNA", "TRIO", "SNSB", "KNAB", "BUNQ"]) + s)


@kind("iban_pt", "IBAN_CODE")
def _(r):
    s = r.choice(["0035", "0033", "0007", "0010", "0018", "0036"]) + "%04d" % r.randint(1, 999) + num(r, 11)
    return iban(r, "PT", s + "%02d" % (98 - int(s) * 100 % 97))


@kind("iban_be", "IBAN_CODE")
def _(r):
    s = r.choice(["001", "210", "310", "363", "734", "063", "731"]) + num(r, 7)
    return iban(r, "BE", s + "%02d" % (int(s) % 97 or 97))


def uk_sort(r):
    s = r.choice(["20", "60", "40", "30", "04", "09", "11", "77", "80", "52", "16"]) + num(r, 4)
    return grp(s, 2, 2, 2, sep="-")


@kind("bank_uk_account", "BANK_ACCOUNT")
def _(r):
    return w(r, (8, num(r, 8)), (1, grp(num(r, 8), 4, 4)))


@kind("bank_uk_sort", "BANK_ACCOUNT")
def _(r):
    return w(r, (8, uk_sort(r)), (1, uk_sort(r).replace("-", "")), (1, uk_sort(r).replace("-", " ")))


@kind("bank_uk_pair", "BANK_ACCOUNT")
def _(r):
    return uk_sort(r) + r.choice([" ", " ", " / ", "  "]) + num(r, 8)


@kind("bank_us_routing", "BANK_ACCOUNT")
def _(r):
    if r.random() < 0.5:
        return r.choice(
            "021000021 026009593 121000358 122000247 111000025 071000013 021000089 011401533 031201360 322271627 121042882 061000052 053000196 256074974 314074269 063107513".split()
        )
    s = "%02d" % r.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) + num(r, 6)
    return s + str(-sum(int(c) * k for c, k in zip(s, [3, 7, 1, 3, 7, 1, 3, 7], strict=False)) % 10)


@kind("bank_us_account", "BANK_ACCOUNT")
def _(r):
    return nz(r, r.choice([9, 10, 10, 10, 12, 12]))


@kind("bank_fr_rib", "BANK_ACCOUNT")
def _(r):
    return r.choice([" ", " ", ""]).join(fr_rib(r))


@kind("bank_in_account", "BANK_ACCOUNT")
def _(r):
    return w(r, (4, r.choice(["3", "2"]) + num(r, 10)), (3, "50100" + num(r, 9)), (2, "0" + nz(r, 11)))


# ---------------------------------------------------------------- government ids: US
@kind("us_ssn", "GOVERNMENT_ID")
def _(r):
    a = r.randint(1, 899)
    if a == 666:
        a = 667
    s = "%03d%02d%04d" % (a, r.randint(1, 99), r.randint(1, 9999))
    return w(r, (10, grp(s, 3, 2, 4, sep="-")), (2, s), (2, grp(s, 3, 2, 4)))


@kind("us_itin", "GOVERNMENT_ID")
def _(r):
    s = "9" + num(r, 2) + "%02d" % r.choice([*list(range(70, 89)), 90, 91, 92, 94, 95, 96, 97, 98, 99]) + num(r, 4)
    return w(r, (8, grp(s, 3, 2, 4, sep="-")), (2, s))


@kind("us_passport", "GOVERNMENT_ID")
def _(r):
    return w(r, (5, r.choice("456") + num(r, 8)), (4, r.choice("AAAXY") + num(r, 8)))


@kind("us_dl_ca", "GOVERNMENT_ID")
def _(r):
    return r.choice("ABCDEFNY") + num(r, 7)


@kind("us_dl_ny", "GOVERNMENT_ID")
def _(r):
    s = nz(r, 9)
    return w(r, (6, s), (4, grp(s, 3, 3, 3)))


@kind("us_dl_tx", "GOVERNMENT_ID")
def _(r):
    return r.choice("0123") + num(r, 7)


def soundex(r):
    return r.choice("ABCDFGHJKLMPRSTW") + r.choice("123456") + r.choice("0123456") + r.choice("0000123456")


@kind("us_dl_fl", "GOVERNMENT_ID")
def _(r):
    s = (
        soundex(r)
        + "%03d" % r.randint(1, 999)
        + "%02d" % r.randint(45, 99)
        + "%03d" % r.choice([r.randint(1, 366), r.randint(501, 866)])
        + r.choice("0001")
    )
    return w(r, (6, grp(s, 4, 3, 2, 3, 1, sep="-")), (4, s))


@kind("us_dl_il", "GOVERNMENT_ID")
def _(r):
    s = (
        soundex(r)
        + "%03d" % r.randint(0, 999)
        + num(r, 1)
        + num(r, 1)
        + "%03d" % r.choice([r.randint(1, 372), r.randint(601, 972)])
    )
    return w(r, (6, grp(s, 4, 4, 4, sep="-")), (4, s))


@kind("us_dl_nj", "GOVERNMENT_ID")
def _(r):
    s = (
        r.choice(UP)
        + num(r, 9)
        + "%02d" % r.choice([r.randint(1, 12), r.randint(51, 62)])
        + "%02d" % r.randint(50, 99)
        + r.choice("1234")
    )
    return w(r, (6, grp(s, 5, 5, 5)), (3, s))


# UK
@kind("uk_nino", "GOVERNMENT_ID")
def _(r):
    while True:
        p = r.choice("ABCEGHJKLMNPRSTWXYZ") + r.choice("ABCEGHJKLMNPRSTWXYZ")
        if p not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
            break
    s = p + num(r, 6) + r.choice("ABCD")
    return w(r, (6, s), (6, grp(s, 2, 2, 2, 2, 1)), (1, s.lower()), (1, grp(s, 2, 6, 1)))


@kind("uk_nhs", "GOVERNMENT_ID")
def _(r):
    while True:
        s = r.choice("4567") + num(r, 8)
        c = 11 - sum(int(x) * k for x, k in zip(s, range(10, 1, -1), strict=False)) % 11
        if c != 10:
            break
    s += str(c % 11)
    return w(r, (7, grp(s, 3, 3, 4)), (4, s), (1, grp(s, 3, 3, 4, sep="-")))


@kind("uk_passport", "GOVERNMENT_ID")
def _(r):
    return r.choice("1357") + num(r, 8)


@kind("uk_driving", "GOVERNMENT_ID")
def _(r):
    y, m, d = date(r, 1950, 2005)
    y = "%02d" % (y % 100)
    s = (
        (r.choice(LAST["en"]).upper() + "99999")[:5]
        + y[0]
        + "%02d" % (m + r.choice([0, 50]))
        + "%02d" % d
        + y[1]
        + r.choice("ABCDEGHJKLMPRST")
        + r.choice("ABCDEGHJKLMPRST99")
        + "9"
        + pick(r, "ABCDEFGHJKLMNPRSTUVWXYZ", 2)
    )
    return w(r, (6, s), (4, grp(s, 5, 6, 5)))


# FR
@kind("fr_nir", "GOVERNMENT_ID")
def _(r):
    y, m, _d = date(r, 1945, 2004)
    s = r.choice("12") + "%02d%02d" % (y % 100, m)
    dep = "%02d" % r.choice([x for x in range(1, 96) if x != 20]) if r.random() < 0.95 else "99"
    s += dep + "%03d%03d" % (r.randint(1, 450), r.randint(1, 420))
    k = "%02d" % (97 - int(s) % 97)
    return w(r, (7, grp(s + k, 1, 2, 2, 2, 3, 3, 2)), (5, s + k), (1, s + " " + k))


@kind("fr_cni", "GOVERNMENT_ID")
def _(r):
    if r.random() < 0.5:
        return (
            "%02d%02d" % (r.randint(10, 20), r.randint(1, 12))
            + r.choice(["75", "69", "13", "33", "59", "31", "92", "44"])
            + r.choice("0123")
            + num(r, 5)
        )
    while True:
        s = r.choice("BCDFGHJKLMNPRTVWXYZ") + pick(r, "BCDFGHJKLMNPRTVWXYZ" + DIG * 2, 8)
        if 3 <= sum(c.isdigit() for c in s) <= 7:
            return s


@kind("fr_passport", "GOVERNMENT_ID")
def _(r):
    return "%02d" % r.randint(14, 24) + pick(r, "ABCDEFHIKLPRTVXZ", 2) + num(r, 5)


@kind("fr_fiscal", "GOVERNMENT_ID")
def _(r):
    s = r.choice("0123") + num(r, 9)
    s += "%03d" % (int(s) % 511)
    return w(r, (5, s), (4, grp(s, 2, 2, 3, 3, 3)))


# DE
@kind("de_steuerid", "GOVERNMENT_ID")
def _(r):
    while True:
        ds = list(DIG)
        r.shuffle(ds)
        ds.pop()
        dup = r.choice(ds)
        ds.append(dup)
        r.shuffle(ds)
        s = "".join(ds)
        if s[0] != "0":
            break
    p = 10
    for c in s:
        t = (int(c) + p) % 10 or 10
        p = 2 * t % 11
    s += str((11 - p) % 10)
    return w(r, (6, grp(s, 2, 3, 3, 3)), (6, s), (1, grp(s, 2, 3, 3, 3, sep="/")))


@kind("de_svnr", "GOVERNMENT_ID")
def _(r):
    y, m, d = date(r, 1950, 2004)
    L = r.choice("ABCDEFGHJKLMNOPRSTWZ")
    a = r.choice(
        "02 03 04 08 09 10 11 12 13 14 15 16 17 18 19 20 21 23 24 25 26 28 29 38 39 40 42 44 50 52 53 54 56 57 58 59 60 61 62 63 64 65 66 67 68 69".split()
    )
    b = "%02d%02d%02d" % (d, m, y % 100)
    ser = "%02d" % r.choice([r.randint(0, 49), r.randint(50, 99)])
    z = a + b + "%02d" % (ord(L) - 64) + ser
    c = sum(sum(map(int, str(int(x) * k))) for x, k in zip(z, [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1], strict=False)) % 10
    return w(r, (5, f"{a} {b} {L} {ser}{c}"), (5, f"{a}{b}{L}{ser}{c}"), (1, f"{a} {b} {L} {ser} {c}"))


DEAL = "CFGHJKLMNPRTVWXYZ" + DIG


def mrz(s):
    return str(sum((int(c, 36)) * [7, 3, 1][i % 3] for i, c in enumerate(s)) % 10)


@kind("de_ausweis", "GOVERNMENT_ID")
def _(r):
    s = r.choice("LLLMNPRTVWXY") + pick(r, DEAL, 8)
    return w(r, (6, s), (3, s + mrz(s)))


@kind("de_reisepass", "GOVERNMENT_ID")
def _(r):
    s = r.choice("CCCFGHJK") + pick(r, DEAL, 8)
    return w(r, (7, s), (2, s + mrz(s)))


# ES
DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


@kind("es_dni", "GOVERNMENT_ID")
def _(r):
    n = "%08d" % r.randint(1000000, 79999999)
    L = DNI[int(n) % 23]
    return w(
        r, (8, n + L), (3, n + "-" + L), (1, n + " " + L), (1, n + L.lower()), (1, f"{n[:2]}.{n[2:5]}.{n[5:]}-{L}")
    )


@kind("es_nie", "GOVERNMENT_ID")
def _(r):
    p = r.choice("XYYYZ")
    n = num(r, 7)
    L = DNI[int(str("XYZ".index(p)) + n) % 23]
    return w(r, (7, p + n + L), (4, f"{p}-{n}-{L}"), (1, f"{p}{n}-{L}"))


@kind("es_pasaporte", "GOVERNMENT_ID")
def _(r):
    return r.choice(["PAA", "PAB", "PAC", "PAD", "PAE", "XDA", "XDB", "XDC", "AAJ", "BAB"]) + num(r, 6)


# IT
@kind("it_cf", "GOVERNMENT_ID")
def _(r):
    def code(s, first=False):
        s = s.upper()
        co = [c for c in s if c not in "AEIOU"]
        vo = [c for c in s if c in "AEIOU"]
        if first and len(co) > 3:
            co = [co[0], co[2], co[3]]
        return ("".join(co + vo) + "XXX")[:3]

    y, m, d = date(r, 1940, 2006)
    s = (
        code(r.choice(LAST["it"]))
        + code(r.choice(FIRST["it"]), True)
        + "%02d" % (y % 100)
        + "ABCDEHLMPRST"[m - 1]
        + "%02d" % (d + r.choice([0, 40]))
    )
    s += r.choice(
        "H501 F205 L219 F839 A944 D612 G273 D969 A662 C351 L736 L781 G337 B354 Z129 Z100 E506 G482 H703 F257".split()
    )
    s += it_check(s)
    return w(r, (9, s), (2, grp(s, 3, 3, 5, 5)), (1, s.lower()))


@kind("it_patente", "GOVERNMENT_ID")
def _(r):
    if r.random() < 0.6:
        return "U1" + pick(r, "ABCDEFGHJKLMNPRSTUVWXYZ" + DIG * 2, 7) + r.choice(UP)
    return r.choice("MI RM TO NA BO FI PA GE BA VR".split()) + num(r, 7) + r.choice(UP)


@kind("it_cie", "GOVERNMENT_ID")
def _(r):
    return w(
        r, (7, "C" + r.choice("ABCDEFGHIJ") + num(r, 5) + pick(r, UP, 2)), (3, "A" + r.choice("RSTUVXY") + num(r, 7))
    )


@kind("it_passaporto", "GOVERNMENT_ID")
def _(r):
    return "Y" + r.choice("ABCD") + num(r, 7)


# IN
VD = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
VP = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
]


@kind("in_aadhaar", "GOVERNMENT_ID")
def _(r):
    s = r.choice("23456789") + num(r, 10)
    for k in DIG:
        c = 0
        for i, x in enumerate(reversed(s + k)):
            c = VD[c][VP[i % 8][int(x)]]
        if c == 0:
            s += k
            break
    return w(r, (8, four(s)), (4, s), (1, "-".join([s[:4], s[4:8], s[8:]])))


@kind("in_pan", "GOVERNMENT_ID")
def _(r):
    return pick(r, UP, 3) + "P" + r.choice("ABCDGHJKMNPRSTVY") + "%04d" % r.randint(1, 9999) + r.choice(UP)


@kind("in_passport", "GOVERNMENT_ID")
def _(r):
    return r.choice("JKLMNPRSTUVWZ") + nz(r, 7)


@kind("in_voter", "GOVERNMENT_ID")
def _(r):
    s = num(r, 6)
    return pick(r, UP, 3) + s + luhn(s)


# others
@kind("other_nl_bsn", "GOVERNMENT_ID")
def _(r):
    while True:
        s = nz(r, 9)
        if (sum(int(c) * k for c, k in zip(s, range(9, 1, -1), strict=False)) - int(s[8])) % 11 == 0:
            return w(r, (8, s), (2, grp(s, 4, 2, 3, sep=".")), (1, grp(s, 3, 3, 3)))


@kind("other_pt_nif", "GOVERNMENT_ID")
def _(r):
    s = r.choice("123") + num(r, 7)
    c = (11 - sum(int(x) * k for x, k in zip(s, range(9, 1, -1), strict=False))) % 11 % 10
    s += str(c)
    return w(r, (6, s), (4, grp(s, 3, 3, 3)))


@kind("other_br_cpf", "GOVERNMENT_ID")
def _(r):
    s = num(r, 9)
    for n in (10, 11):
        s += str((11 - sum(int(x) * k for x, k in zip(s, range(n, 1, -1), strict=False)) % 11) % 11 % 10)
    return w(r, (8, f"{s[:3]}.{s[3:6]}.{s[6:9]}-{s[9:]}"), (3, s))


@kind("other_ch_ahv", "GOVERNMENT_ID")
def _(r):
    s = "756" + num(r, 9)
    s += str(-sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(s)) % 10)
    return w(r, (8, grp(s, 3, 4, 4, 2, sep=".")), (2, s))


@kind("other_ca_sin", "GOVERNMENT_ID")
def _(r):
    s = r.choice("1234567") + num(r, 7)
    s += luhn(s)
    return w(r, (6, grp(s, 3, 3, 3)), (3, grp(s, 3, 3, 3, sep="-")), (2, s))


@kind("other_au_tfn", "GOVERNMENT_ID")
def _(r):
    while True:
        s = nz(r, 9)
        if sum(int(c) * k for c, k in zip(s, [1, 4, 3, 7, 5, 8, 6, 9, 10], strict=False)) % 11 == 0:
            return w(r, (7, grp(s, 3, 3, 3)), (3, s))


# ---------------------------------------------------------------- network
@kind("ipv4", "IP_ADDRESS")
def _(r):
    a = r.choice([x for x in range(2, 223) if x not in (10, 100, 127, 169, 172, 192, 198, 203)])
    if r.random() < 0.2:
        return (
            r.choice(["192.168.", "10.%d." % r.randint(0, 255), "172.%d." % r.randint(16, 31)])
            + f"{r.randint(0, 255)}.{r.randint(2, 254)}"
        )
    return f"{a}.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}"


@kind("ipv4_lan", "IP_ADDRESS")
def _(r):
    return (
        r.choice(["192.168.", "192.168.", "10.%d." % r.randint(0, 255), "172.%d." % r.randint(16, 31)])
        + f"{r.choice([0, 1, 2, 10, 20, 178, r.randint(3, 254)])}.{r.randint(2, 254)}"
    )


@kind("ipv6", "IP_ADDRESS")
def _(r):
    p = r.choice(
        [
            "2a02:8108",
            "2001:16b8",
            "2a01:cb14",
            "2003:e5",
            "2600:1700",
            "2a00:23c7",
            "2601:646",
            "2a01:4f8",
            "2001:41d0",
            "2804:14d",
            "2405:201",
            "2a02:908",
        ]
    )
    h = lambda: "%x" % r.randint(1, 65535)
    return w(
        r,
        (6, p + "".join(":" + h() for _ in range(6))),
        (3, p + f":{h()}:{h()}::1"),
        (2, f"{p}:{h()}::{h()}"),
        (1, f"fe80::{h()}:{r.randint(0, 255):x}ff:fe{r.randint(0, 255):02x}:{h()}"),
    )


@kind("mac", "MAC_ADDRESS")
def _(r):
    o = r.choice(
        [
            "b827eb",
            "dca632",
            "3c5282",
            "f4f5e8",
            "a4c361",
            "001a2b",
            "7c2ebd",
            "e0d55e",
            "98fa9b",
            "ac1f6b",
            "d8bb2c",
            "0050b6",
            "2c549188"[:6],
            "f01898",
        ]
    ) + pick(r, HEX, 6)
    p = [o[i : i + 2] for i in range(0, 12, 2)]
    return w(
        r, (6, ":".join(p)), (3, ":".join(p).upper()), (3, "-".join(p).upper()), (1, ".".join([o[:4], o[4:8], o[8:]]))
    )


@kind("mac_dash", "MAC_ADDRESS")
def _(r):
    o = (r.choice(["3c5282", "a4c361", "7c2ebd", "e0d55e", "98fa9b", "d8bb2c", "0050b6"]) + pick(r, HEX, 6)).upper()
    return "-".join(o[i : i + 2] for i in range(0, 12, 2))


# ---------------------------------------------------------------- crypto
B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def b58(b):
    n = int.from_bytes(b, "big")
    s = ""
    while n:
        n, k = divmod(n, 58)
        s = B58[k] + s
    return "1" * (len(b) - len(b.lstrip(b"\0"))) + s


def b58check(b):
    return b58(b + hashlib.sha256(hashlib.sha256(b).digest()).digest()[:4])


BE = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(hrp, ver, prog):
    acc = bits = 0
    data = [ver]
    for x in prog:
        acc = acc << 8 | x
        bits += 8
        while bits >= 5:
            bits -= 5
            data.append(acc >> bits & 31)
    if bits:
        data.append(acc << (5 - bits) & 31)

    def polymod(v):
        c = 1
        for x in v:
            t = c >> 25
            c = (c & 0x1FFFFFF) << 5 ^ x
            for i, g in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
                c ^= g if t >> i & 1 else 0
        return c

    ex = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    p = polymod(ex + data + [0] * 6) ^ (1 if ver == 0 else 0x2BC830A3)
    return hrp + "1" + "".join(BE[d] for d in data + [p >> 5 * (5 - i) & 31 for i in range(6)])


def keccak256(m):
    M = (1 << 64) - 1
    rol = lambda x, n: ((x << n) | (x >> (64 - n))) & M if n else x
    A = [[0] * 5 for _ in range(5)]
    q = bytearray(m)
    q.append(1)
    q += bytes(-len(q) % 136)
    q[-1] |= 0x80
    for o in range(0, len(q), 136):
        for i in range(17):
            A[i % 5][i // 5] ^= int.from_bytes(q[o + 8 * i : o + 8 * i + 8], "little")
        R = 1
        for _ in range(24):
            C = [A[x][0] ^ A[x][1] ^ A[x][2] ^ A[x][3] ^ A[x][4] for x in range(5)]
            D = [C[(x - 1) % 5] ^ rol(C[(x + 1) % 5], 1) for x in range(5)]
            A = [[A[x][y] ^ D[x] for y in range(5)] for x in range(5)]
            x, y = 1, 0
            cur = A[x][y]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                cur, A[x][y] = A[x][y], rol(cur, (t + 1) * (t + 2) // 2 % 64)
            for y in range(5):
                T = [A[x][y] for x in range(5)]
                for x in range(5):
                    A[x][y] = T[x] ^ (~T[(x + 1) % 5] & M & T[(x + 2) % 5])
            for j in range(7):
                R = ((R << 1) ^ ((R >> 7) * 0x71)) % 256
                if R & 2:
                    A[0][0] ^= 1 << ((1 << j) - 1)
    return b"".join(A[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


@kind("btc", "CRYPTO")
def _(r):
    return w(
        r,
        (4, bech32("bc", 0, rbytes(r, 20))),
        (1, bech32("bc", 1, rbytes(r, 32))),
        (2, b58check(b"\0" + rbytes(r, 20))),
        (2, b58check(b"\5" + rbytes(r, 20))),
    )


@kind("eth", "CRYPTO")
def _(r):
    s = rbytes(r, 20).hex()
    if r.random() < 0.3:
        return "0x" + s
    h = keccak256(s.encode()).hex()
    return "0x" + "".join(c.upper() if int(k, 16) > 7 else c for c, k in zip(s, h, strict=False))


@kind("tron", "CRYPTO")
def _(r):
    return b58check(b"\x41" + rbytes(r, 20))


# ---------------------------------------------------------------- issued secrets
def crc62(s):
    n = zlib.crc32(s.encode())
    o = ""
    for _ in range(6):
        n, k = divmod(n, 62)
        o = B62[k] + o
    return o


S = "SECRET_ISSUED"


@kind("aws_key_id", S)
def _(r):
    return "AKIA" + pick(r, B32, 16)


@kind("aws_secret", S)
def _(r):
    while True:
        s = b64(rbytes(r, 30))
        if s[0] not in "+/" and any(c.isdigit() for c in s):
            return s


@kind("google_api", S)
def _(r):
    return "AIzaSy" + pick(r, URLS, 33)


@kind("azure_storage", S)
def _(r):
    return b64(rbytes(r, 64))


@kind("azure_client_secret", S)
def _(r):
    return pick(r, ALNUM, 3) + r.choice("78") + "Q~" + pick(r, ALNUM + "_.~-", 34)


@kind("github_pat", S)
def _(r):
    if r.random() < 0.35:
        return "github_pat_11" + pick(r, UP + DIG, 8) + "0" + pick(r, ALNUM, 11) + "_" + pick(r, ALNUM, 59)
    s = pick(r, ALNUM, 30)
    return w(r, (6, "ghp_"), (1, "gho_"), (1, "ghs_")) + s + crc62(s)


@kind("gitlab_pat", S)
def _(r):
    return "glpat-" + pick(r, URLS, 20)


@kind("slack_token", S)
def _(r):
    a, b = nz(r, r.choice([11, 12, 13])), nz(r, 13)
    return w(
        r,
        (6, f"xoxb-{a}-{b}-{pick(r, ALNUM, 24)}"),
        (2, f"xoxp-{a}-{b}-{nz(r, 13)}-{pick(r, HEX, 32)}"),
        (1, f"xapp-1-A0{pick(r, UP + DIG, 9)}-{b}-{pick(r, HEX, 64)}"),
    )


@kind("slack_webhook", S)
def _(r):
    return f"T0{pick(r, UP + DIG, r.choice([7, 9]))}/B0{pick(r, UP + DIG, r.choice([7, 9]))}/{pick(r, ALNUM, 24)}"


@kind("discord_bot", S)
def _(r):
    return b64u(("1" + num(r, 18)).encode()) + ".G" + pick(r, URLS, 5) + "." + pick(r, URLS, 38)


@kind("telegram_bot", S)
def _(r):
    return r.choice("5678") + num(r, 9) + ":AA" + r.choice("EFGH") + pick(r, URLS, 32)


@kind("stripe_key", S)
def _(r):
    p = w(r, (6, "sk_live_"), (3, "sk_test_"), (1, "rk_live_"))
    return p + ("51" + pick(r, ALNUM, 97) if r.random() < 0.6 else pick(r, ALNUM, 24))


@kind("openai_key", S)
def _(r):
    return w(
        r,
        (7, "sk-proj-" + pick(r, URLS, 74) + "T3BlbkFJ" + pick(r, URLS, 74)),
        (2, "sk-" + pick(r, ALNUM, 20) + "T3BlbkFJ" + pick(r, ALNUM, 20)),
        (1, "sk-svcacct-" + pick(r, URLS, 74) + "T3BlbkFJ" + pick(r, URLS, 74)),
    )


@kind("anthropic_key", S)
def _(r):
    return "sk-ant-api03-" + pick(r, URLS, 93) + "AA"


@kind("huggingface", S)
def _(r):
    return "hf_" + pick(r, LOW + UP, 34)


@kind("sendgrid", S)
def _(r):
    return "SG." + pick(r, URLS, 22) + "." + pick(r, URLS, 43)


@kind("mailgun", S)
def _(r):
    return w(r, (1, "key-" + pick(r, HEX, 32)), (2, pick(r, HEX, 32) + "-" + pick(r, HEX, 8) + "-" + pick(r, HEX, 8)))


@kind("mailchimp", S)
def _(r):
    return pick(r, HEX, 32) + "-us%d" % r.randint(1, 21)


@kind("brevo", S)
def _(r):
    return w(r, (2, "xkeysib-"), (1, "xsmtpsib-")) + pick(r, HEX, 64) + "-" + pick(r, ALNUM, 16)


@kind("npm_token", S)
def _(r):
    s = pick(r, ALNUM, 30)
    return "npm_" + s + crc62(s)


@kind("docker_pat", S)
def _(r):
    return "dckr_pat_" + pick(r, URLS, 27)


@kind("cloudflare", S)
def _(r):
    return pick(r, URLS, 40)


@kind("twilio", S)
def _(r):
    return pick(r, HEX, 32)


@kind("datadog", S)
def _(r):
    return pick(r, HEX, 32)


@kind("grafana", S)
def _(r):
    s = pick(r, ALNUM, 32)
    return "glsa_" + s + "_" + zlib.crc32(s.encode()).to_bytes(4, "little").hex()


@kind("atlassian", S)
def _(r):
    s = "ATATT3xFfGF0" + pick(r, URLS, 171)
    return s + "=" + "%08X" % zlib.crc32(s.encode())


@kind("shopify", S)
def _(r):
    return w(r, (3, "shpat_"), (1, "shpss_")) + pick(r, HEX, 32)


@kind("notion", S)
def _(r):
    return w(r, (2, "ntn_" + num(r, 11) + pick(r, ALNUM, 35)), (1, "secret_" + pick(r, ALNUM, 43)))


def jwt(r, payload, alg="HS256", siglen=32):
    h = {"alg": alg, "typ": "JWT"}
    if alg == "RS256":
        h["kid"] = pick(r, URLS, 22)
    e = lambda o: b64u(json.dumps(o, separators=(",", ":")).encode())
    return e(h) + "." + e(payload) + "." + b64u(rbytes(r, siglen))


@kind("jwt", S)
def _(r):
    t = r.randint(1690000000, 1760000000)
    p = r.choice(
        [
            {
                "sub": str(r.randint(100, 99999)),
                "role": r.choice(["user", "admin", "agent"]),
                "iat": t,
                "exp": t + 3600,
            },
            {
                "iss": "https://auth.%s.com/" % r.choice(CORP["en"]),
                "sub": "auth0|" + pick(r, HEX, 24),
                "aud": "https://api",
                "iat": t,
                "exp": t + 86400,
                "scope": "openid profile",
            },
            {"user_id": r.randint(1, 90000), "tenant": r.choice(["eu1", "us2", "prod"]), "exp": t},
        ]
    )
    return jwt(r, p, *w(r, (2, ("HS256", 32)), (1, ("RS256", 256))))


@kind("supabase_service", S)
def _(r):
    t = r.randint(1660000000, 1740000000)
    return jwt(r, {"iss": "supabase", "ref": pick(r, LOW, 20), "role": "service_role", "iat": t, "exp": t + 315360000})


def derlen(n):
    return (
        bytes([n]) if n < 128 else (lambda b: bytes([0x80 | len(b)]) + b)(n.to_bytes((n.bit_length() + 7) // 8, "big"))
    )


def tlv(t, b):
    return bytes([t]) + derlen(len(b)) + b


def derint(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def pem(label, b):
    s = b64(b)
    return (
        f"-----BEGIN {label}-----\n"
        + "\n".join(s[i : i + 64] for i in range(0, len(s), 64))
        + f"\n-----END {label}-----"
    )


SMALL = [p for p in range(3, 2000, 2) if all(p % q for q in range(3, int(p**0.5) + 1, 2))]


def prime(r, bits):
    while True:
        n = r.getrandbits(bits) | 3 << (bits - 2) | 1
        if n % 65537 == 1 or any(n % p == 0 for p in SMALL):
            continue
        if pow(2, n - 1, n) == 1:
            return n


def rsa_der(r, bits=2048):
    p, q = prime(r, bits // 2), prime(r, bits // 2)
    if p < q:
        p, q = q, p
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    return tlv(0x30, b"".join(map(derint, [0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)])))


def pkcs8(der):
    return tlv(0x30, derint(0) + bytes.fromhex("300d06092a864886f70d0101010500") + tlv(4, der))


@kind("pem_rsa", S)
def _(r):
    d = rsa_der(r)
    return pem("RSA PRIVATE KEY", d) if r.random() < 0.6 else pem("PRIVATE KEY", pkcs8(d))


@kind("pem_json", S)
def _(r):
    return (pem("PRIVATE KEY", pkcs8(rsa_der(r))) + "\n").replace("\n", "\\n")


@kind("pem_ec", S)
def _(r):
    P = 2**256 - 2**224 + 2**192 + 2**96 - 1
    N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    G = (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    )

    def add(a, b):
        if a is None:
            return b
        if b is None:
            return a
        if a[0] == b[0]:
            if (a[1] + b[1]) % P == 0:
                return None
            l = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
        else:
            l = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
        x = (l * l - a[0] - b[0]) % P
        return x, (l * (a[0] - x) - a[1]) % P

    k = r.randrange(1, N)
    Q = None
    A = G
    n = k
    while n:
        if n & 1:
            Q = add(Q, A)
        A = add(A, A)
        n >>= 1
    pub = b"\4" + Q[0].to_bytes(32, "big") + Q[1].to_bytes(32, "big")
    return pem(
        "EC PRIVATE KEY",
        tlv(
            0x30,
            derint(1)
            + tlv(4, k.to_bytes(32, "big"))
            + tlv(0xA0, bytes.fromhex("06082a8648ce3d030107"))
            + tlv(0xA1, tlv(3, b"\0" + pub)),
        ),
    )


def ed_pub(seed):
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    by = 4 * pow(5, -1, p) % p
    bx = 15112221349535400772501151409588531511454012693041857206046113283949847762202

    def add(a, b):
        t = d * a[0] * b[0] * a[1] * b[1]
        return (a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, p) % p, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, p) % p

    h = bytearray(hashlib.sha512(seed).digest()[:32])
    h[0] &= 248
    h[31] &= 127
    h[31] |= 64
    n = int.from_bytes(h, "little")
    Q = (0, 1)
    A = (bx, by)
    while n:
        if n & 1:
            Q = add(Q, A)
        A = add(A, A)
        n >>= 1
    return (Q[1] | (Q[0] & 1) << 255).to_bytes(32, "little")


@kind("ssh_ed25519", S)
def _(r):
    s = lambda b: len(b).to_bytes(4, "big") + b
    seed = rbytes(r, 32)
    pub = ed_pub(seed)
    ck = rbytes(r, 4)
    cm = r.choice([b"deploy", b"admin@nas", b"ci-runner", b"laptop"])
    pubb = s(b"ssh-ed25519") + s(pub)
    priv = ck + ck + pubb + s(seed + pub) + s(cm)
    i = 1
    while len(priv) % 8:
        priv += bytes([i])
        i += 1
    x = b64(b"openssh-key-v1\0" + s(b"none") + s(b"none") + s(b"") + (1).to_bytes(4, "big") + s(pubb) + s(priv))
    return (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + "\n".join(x[i : i + 70] for i in range(0, len(x), 70))
        + "\n-----END OPENSSH PRIVATE KEY-----"
    )


@kind("wireguard_key", S)
def _(r):
    b = bytearray(rbytes(r, 32))
    b[0] &= 248
    b[31] = b[31] & 127 | 64
    return b64(bytes(b))


@kind("gen_password", S)
def _(r):
    """generated password in configuration: alphabets that are safe in a URL or quoted string"""
    while True:
        s = w(
            r,
            (6, pick(r, ALNUM, r.choice([16, 20, 24, 32]))),
            (2, pick(r, ALNUM + "-_", r.choice([20, 22, 32]))),
            (2, pick(r, HEX, r.choice([24, 32, 48]))),
        )
        if any(c.isdigit() for c in s) and any(c.isalpha() for c in s):
            return s


@kind("gen_password_sym", S)
def _(r):
    while True:
        s = r.choice(ALNUM) + pick(r, ALNUM * 2 + "!#%^*()-_=+.,~?", r.choice([13, 15, 19, 23]))
        if any(c.isdigit() for c in s) and any(not c.isalnum() for c in s):
            return s


@kind("managed_db_password", S)
def _(r):
    return w(r, (2, "AVNS_" + pick(r, URLS, 19)), (2, "npg_" + pick(r, ALNUM, 12)), (1, "p" + pick(r, HEX, 64)))


@kind("gen_hex", S)
def _(r):
    return pick(r, HEX, r.choice([32, 40, 64, 64]))


@kind("gen_b64", S)
def _(r):
    return b64(rbytes(r, 32))


@kind("laravel_key", S)
def _(r):
    return "base64:" + b64(rbytes(r, 32))


@kind("wp_salt", S)
def _(r):
    return pick(r, ALNUM + "!@#$%^&*()-_[]{}<>~`+=,.;:/?|", 64)


@kind("basic_auth", S)
def _(r):
    return b64(
        (
            r.choice(["admin", "api", "svc-export", "webhook", "elastic"])
            + ":"
            + pick(r, ALNUM, r.choice([12, 16, 20]))
        ).encode()
    )


@kind("session_cookie", S)
def _(r):
    return w(
        r,
        (3, pick(r, LOW + DIG, 26)),
        (2, "s%3A" + pick(r, URLS, 32) + "." + pick(r, ALNUM, 43)),
        (1, pick(r, HEX, 32)),
    )


@kind("sas_sig", S)
def _(r):
    return b64(rbytes(r, 32)).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


@kind("totp_secret", S)
def _(r):
    s = pick(r, B32, r.choice([16, 32]))
    return w(r, (3, s), (1, four(s.lower())))


@kind("app_password", S)
def _(r):
    s = pick(r, LOW, 16)
    return w(r, (1, four(s)), (1, "-".join(s[i : i + 4] for i in range(0, 16, 4))))


@kind("bitlocker", S)
def _(r):
    return "-".join("%06d" % (11 * r.randint(1000, 65535)) for _ in range(8))


@kind("license_key", S)
def _(r):
    return "-".join(pick(r, "BCDFGHJKMPQRTVWXY2346789", 5) for _ in range(5))


BIP39 = (
    zlib.decompress(
        base64.b85decode(
            "c-k$S36`uX5Jb09TXR6AOTo`jcJ=Ci+~A!)6^V)nNs<%vG*4;G={3#qjO{CW20`u({7|kTaZz)bA+1b{uX|ZVdR3ie3AIAv>dMQK`=I0T5d%%>u^{)_;-bQT"
            "Jr?ek?3bzEB7Ip}E?^n0wmzM&X`OD>SXX{=adA9ff7GDJ6~TUjpD8T?8X=+NnJ;eJ6bmHN^{q_wXP=@zxd(pqc`rfbBTRZ0ub1D5<<3RVVud^BRCNEGJGkT{"
            "t9NJM`5A-SI=Mc>7tD|F%5?C|iI?wV5*D>jg_;E|=o{xVeKneEYM~eCUrf7b9%z1EVyC*5rt?dSX*pn2TB3WNcG^iheN1~%^C@1iF1>v#sgcD6Gc@IP_=WnI"
            "w2;ySjsJCO{l<VmB>nD*(cSsXJ6Cs@3WQegyI4%_64ho|4#4xPAp*2nc3OmM<zfKkqTl6GV?~|fPNDnIz{pC8A78;gzFk__EFz^vS7=Wz@7GlM-GL{yPM-W)"
            "gVFVB?Ux#=?YPvBcATN<vSoFpwP|@n0v%{Aw!ZT0pMdv&!q`{js_zyu&q8lzdv6)&mnwZiu?T(gGOZbkXg$+AfW@f6KA~p1^K4zrdfs}ZYQM3*=4t*4mLr^M"
            "TLpc3o>sLvPrH7n1$su_5)~z5^K{KQizNL)Qs7Ph!bzoK*`8r4)hi8DO^xs^9?cr7rf?4WESP|<IiJHav2aD{?i|7<(5j)l(_}a_WJnb6=5Ts_i)y-rYC0sh"
            "nZg#is(=_v+YNCSc|xG2Z>EX3d>8r>DZeTB?vS`S7A{ItlX1L$GIv7FnD8<t59*xw*cm3CqafzfZJjwAtEK?z0iNAJgT1Qt%!CNlLe~16vxIui*DTQD6?C<i"
            "^BdqZQY7>y7uKo>@;al==G+jnc`Ug(|LUjqBwFrd@x(~xSCIO}3`H$~;g5^R7)!Jil*lBMxF5Xk&y`qto~3QiNZ}1bOHO_{^Z7E?xah+pkFn3___?nPu&Z%3"
            "*rggz$x@G}zTeLocmt;&r`4~B!)i>5pAYr2k1H4fUwVzn4DXee$3*q7@$c`oO!Lel5!K)qTbc#!UPXNW4M?&Dm*CQ(g4_aLklF*6V4~hH=rljcyqP`|O{K5z"
            "-Tyvt$L9C$Hu<xK-|Q-yYr&quTjLZdv|1=uUKYOuF;S&9w^zHHqly~NJ9MF13w!qKZB*<`)mTVEE0cvuUV==m=1=1Y)DIWhdkLw+36;C=N)%4W==Omf5^7R}"
            "*X`C0>r9bc!5fB)mT|Kh)v|2a4KBPJg6~V11Rn0e>XeCI5Fbo6kB|f5l>#*~W>h5mT}haf$a3@ryCRxsxEH-0claA+NG>`U3yXS*E&kCq4#pBcT2sr3Z57@?"
            "iQ5<Y0F=;0LMeFRhf$rZh2^xN6WKOU>r&{>oROBYD={ahyLw9e!M=hIjdtGY$dp#R8FqHhU!DfSj4UnNp;9kP-nIat+nKq@S`-UUQPn~$fE1;qnrfF}!(R}k"
            "Z}~Da@^xcO)ikpTUAvn}Ta;-O-R;n*kVgBdM%0T6tz^EQJ`r`Ypn(M3k};;nO~VC=K}!qxp!B}m@sOmCxYs>O*)gU*cWk&wsV3FKGsE*Y%Tg{VERgjtvNiAm"
            "l5em;%49y4={dnaH7wz!QoweK1lkCiUQ`+jtwh))1$KkD3-SUfqdSG}rIeQDt@I@_uF``s($&&0ukO;5Yj*d856dy4cAxcB?m&kd{pL56`_fCyEVM4}AWZ$="
            "3hRZnsfN6?BpcG7ONR%xOsf?0Dz9v(DDhcskk{dKt&=tK3OiOWeBYG7t&-=JmAnR-+W^t1MHWn#NVsO|23%*zi4=+EGOEMMO2M@@X$da2QEQ`dJFIIs{iQR0"
            "T=BxRh(uRU(LG4^okXc=pH3vW;+<>sr5213FF>M)6Sjt`DVkjfex=4eLEgZPViJ{v@``xLml}e%YU!SuRZ;YZ2qLvcx!979)qRR6iWREaTU{;cJ3Nt`tXk*{"
            "C+=3_q6r<c#xq><=hkSSM<mPlqhNs-0qSt&RTv_z!eC`&mSPoeDs<Rz6>hUoEE-b_Cu!&7nTelVeD_cCy=I3fBHhY+mC9MA7Jyqmk?1v<B+p`&;pDC4mke|y"
            "cZ7Jwe_p+|guA3qgwbhru`)y-0V`@mJgf92bt4~?;Jv{ca6@oh>qDSVN=FN%DA$g}^dYDCva8kJ>Y0`wy1mw~w6?w%CPZ4OzRA&-Cn-#TWJ4T`zM~cdD#<Je"
            "hNC8$vb_3$%i_f!)B{)$HfzMN@2_AVCPaHC;hg0%g>!XTvsdWB8Fs}XP_tK5QPU`VCO9uSr_obf)B>7hC`9nsM5MB~8!&_6$~L^=y3fqhI}_}PYS;=*;J=83"
            "hGh_NbHrfLj7F6E%3vg8j4f@JfRJ{SfCy_aq{Gq@(hu#YlNA;eY3<@w(qK#w4eWcNBD#U4I4%lrd7bF;mNZJ(!hiS}Ld_~Zkbd;0_?c9sM<icU?Ub&lSSxhm"
            "bwxm5Ft|sOV|b*`;W&jR3$LLe&3=p-){1;n%%>zL{F)EH(r$3&*D<}w@G?{|%YS7rS5q9D@EfcnMavR><Cu^x(Ks{zztN4EEx*2z5$f=JqoG8CKYE)TzgmJ?"
            "Hlo>W-DUK_A({xh_y&G>w6AT#M;6g|1XA~3(UprRX%R|dH#|x~<@RMjf;VF7Dw6mu+(-?9-iTATY1n~nq8W6L5P21e1hboC%}s$`fh}8@Y-%=jtfR`dAc^L+"
            "z)i)x0<IK~bAuV!G(+*@I;_Oaj?N}4xkXIE7DoWOMXe6u?)KrP-~yU!F}WKNj%|WqAGgtRTl6~&DB`AX(uJ<>XIwXX>|6YOZKndw&9Rh_3MYd<8KMZ|IK6T="
            "e68)weu~E>bQLeH?d*!-HiuIie9qEan-rzKA}zV$Ms1l9WoJh=!ZLvx^YS9ftiB*H*$DE{9B41mPFuxc^CnlpZP|<4oJQCbXKm7<=2G!cik1;NL<M@JFp7Gp"
            "K_1d0xwAaROWGVK32|39`5L-~+p+b;Pj+*Yn`?2yN#D9BeV-geIoRG6ssDZ<cJ6oju*=JpUyRleng3B@C=off5bL>J@r!=cZq%{F?eZtMP*As{iZp+sQT!As"
            "zDc|x(h-1N+;gW62DC@i=8nDC<Bmq(hk)!+24~~4s67nFu3#EKG)0P0vaz4oKjC#(Xr7Joj)V;H%zj&Qxf4$B2*#e*6~Wq>>76Ow9Xu#PlGU0->n*<S%%O&h"
            "eHJ%hzI=ljpcjskg$$vf;daN$!VhkM%sZbd<Pmm-$$)|vA$RlQ36L*&gX&!&d$V_hM@yK7x`(Eqm-})t#23x<{=Htug!XdOrJ!pQT(T$-i`#+nQp6><`yiU+"
            "PT@|GkO@D?Fu|AeB**l;1%IwWgfBRynhtC#_)#<1%tP{c4EuNlEf4StzPJTRzoMIQMR*R?6G*!qXuCs<JXr6CbS)Ee<aq`ce2;^P5CkCNl^$dL9Rw^#POg)w"
            "b91ffII>O5VN)n+8iBOM>X0KxvGW+UbttSlkkg~f^8~T1A~c|tsYn1yQu1IH6fLf<P<#h2^g5fVUosvqJi$m3OfxjSoK_}CjJzc;kRXSV>nB&i)QT+HL629o"
            "?TeZ-{AE$}ha?yaCz5@0WG+QJ#vu|(2yEU&;fu&{zolQpFBt93sDR27k*(7RV#0brPEykmSK$&l(Dot$k(5eq_`EUw1Xud$e)SqH;>ij#82}aJf(uEJQ>PMc"
            "iHsKs3n4a|q74%#8Sv=vFOWVJvfwkypXiSaOCJl2ttb4J$8ov?wQBLImiqlce11l%>Stobi17RSd;LgsF`S|aJf-7*!Xt6`$+Lc1u|GH!KN1dv3b*KoER&E)"
            "{UP@L>CRG%M6vOQ1cH<JZ@C&%$@%qWO$%;;jAMs>UvH8CZ%K!K$=8W;+U0JGYX0BivwjO}<;{@a<O?Z3@%2tJV(%0;5W^*WUZ?bpej0#Ky^$Kk89m9*pQNNt"
            "!aeayeAv0VTjsj>qPc3*s88ZPFyVO1Y)&sS8YfYppkhoEV7R_Qh*Nria+o$i>rJS+!3RcvpFuiX!u=WoF2r!1A=dGfl)^b~rCqv2qzdwllEI7hbLZelp{NCg"
            "SOU2gQk|j&H$~#=6>`Fq6EiVv{7DYh36_(^B-9k0xFcu$4+C#MS57#lhnQ1f^(ME#po)36s+5aB|KYb{1X(-wK_oOM8ym7C;$^0r-08gAG0iqAa@l!RF^nGe"
            "-G2Ak9Wb9gO-3!+v;VS^&TqlPz1VKjYPr-AX#;&wm?X&;+dUWYsbjNi`q6A(%<v`UK5?77iLVeovnoXQ4BF=w?XHJ|d`a&QqAmz`w^_!g%iA9;C63k<D_@u{"
            "0X(^!GGyVG=mwjwirlbkYNN()yyWd%*!@egB1yeSiwP_N7q;&Tc;^f;thA$$YZ9JBLKk`XYor%MSkgEd9*2AdL0Pzk9A8#Ym-B%ae$quO;Rns_wnL`jlHFm%"
            "T6`7~`O$B{a&bjs$BPvy7=4e#yFwy_OAg24w{2BOOz<%l?M2AVG%)=58))Izi{Q#LuH2=-=L9hUm)5#|Xi2SsNHlnj_*!IeR}P(qkm;3kVpn!sB@z5yxk`ei"
            "8?TWY{}&;OxFuO9ONaLdE~HQpg`}jezHL10bV>n0yd}t2uO66QV9;`WoqJaShM?B2?k&vgTZ3E)5sUlvRWH-T;z_uPX}YD$M7)cTBq?8^JC{auk=S=j<Z%-r"
            "MUrM{em(5YNTz>5byB#jI6@Z14=Ydn^PX7>y}^~_fFp&c3V!t*^*m-aWkfq=B02^15yhG09r$Kpt%%V3><Vof)tljf%ZVtDOH>bPHg(dv`rcT-$tg#Yta*CB"
            "<WqhHwu}07l;lZ!ER0#y!^pGeCC?wH@A9IjLY4%{7~0H=+FyCw_yw2fLf$X{gdO=Uw+BBcTVv((d)=C%jDjO6`(lqrA|;0B<UE{+-ne=HCJ@he9FK3i5c&4("
            "<gs^|3ofIA7`uWat0Yu_rpZ<~Lr;qn*dn{*wp_?-yyQ|jQ!oTF_h#=xbX?&Ih}i090!A@4z3g}4G3!U^_q%h~!u863jK%KGJ$cpMEN3U{ZiOfdWkrz$;S;D?"
            "x~)ls?!`Ub#zH)OPtKLzBwB9d(`Cu$jZ(X<&2E&KAdZ^OSl?D=NtD%eW8d!S>$Q6acS7^meNliq`H8HOxB}btn~3T~7tP=;`^H#;v)=k`NQ@{`D1y;rBj-Lm"
            "e7UJv=<LaTe6=3MyjvlW?#9KVjl<gBG0>a1^9!_scPU_`*giH~NWtFmrk*@(9(&yJ?@ufoJe8Zk=g*P3yX{#yt*CCh7pGHWH#QC20fgtya=Zk3IpfXW^2!Rx"
            "BdoNDRO`*|?@i|a&T?B_rC11^!2MUKarS$acH{|Xh;`15)WFaDAf6)|cC+E_PblD`ljQB;YYCellPmUZ9|aL@G*P5Kd^ui4I)xX~E;^o&9r2}Sro@jKQsN(o"
            "lDVMHG>NX=EoD*@B2E*FS}llP*)Qk3f%h0lA(Et%x&5mqCj!sj{pmCD_1)JMr6i7>!2KF7|1Dn>m3!NbxciNWb%MIPm$8GUf=AGcSNv_Yb(7p+Ro?yY4^Ds8"
            "Q#lu;?Wir9nrwk+VKx5ON%e>WGCZ1h%n$G<U`UF1(Hw<iGpgj+*ZVG7dzxWk%tCd}0r8k5X>jSLf^S+l2m;~;4_%~aS^X(YoA(jQ$R)7JOaqU8e^N2y6pD8m"
            "iF5dPz!MgFC%6Rf$BG0rrYPcH*q!i0?~Ih-d6Tf%2$kUAM}#$B!XDkM!gQYP7TOYiM%8or1-&*3#|XBU&n}c;A5CO9Fe>0#h-CL8t-dMa^|EFv!CD$gjXb#V"
            "jzqjFMaeyr2_j&U7%$x<I7(FkXI4ZZi>p^HGk2(x<WtATYpsk{8(W<v^fX5H8SImjKxdqrDu-;lco1iPY&Lt5Sjl^#j7|L#H@<I^i%HOnh^dwh*FIn4J${KG"
            "{zGxLuy}{3;Aa=_R%#t(WA}xlHZ2w>a=cgs@946+gcO(T@VGcjJr3X$tc?(dyY$&SClD@DQ3ZFW^u&*2ET!W<RCS;Z+aluVyG|Pyk%y-rpM)uuqfcN1_)f*&"
            "sUy)`i9)OFMwN3Xn(Glo5h<a)(2C(8w@vmkfC(rr+Fh;+W4JoPWrBvR9E+lrMNVce>Yl{b8|Nx$@zzDF1SHmEkL&imKEG<1_~F>su`DVxU)kPRA;>bZxEl-0"
            "&=D1%tg_cx!)_Z_y`uq9Z;)V#zEmhNZ*|y(J{^6O10E{GTV++;9Bn(m5>W(P(YLR9I2I65uqJd8M-*lpbl~vUNIA$85--Ufi?}vEO(jtzK#D5aA&}eTV1+zn"
            "xd^+rWhyBip>#XXkcfK75vF5@h8<@gXQ-$)`zSRACe32)y}~Ld9(E8f2u@x){e1-u=mSxUf_Jy;Xss~VXm6$>|A>tOgo^E`Z(lk$AQJg8YLvNv-oMfHmEc}*"
            "2}mZ?b7+ogi&~x8tRvzTp;pFCtC;<2#yXE(FSMYLhA$$LdXeK0a=@S_l(mps37JafJ#KH!T+3VKtJyo*)jZGgyJ}`uZ0Ut-bRBgH90x|K^EDhA!=b5!%r*Ny"
            "p<4AkX_^2elU(ONEha+OZWLg({jNA?eE%jTA*(6Jo1=5%o`v_e?08GKDunP$=G5(j2qJG^@OmU<toLcey|&gwv~Ty&I#&pA@JmSQv)<NmRYtaA9|Oeaoe0Z("
            "Qmu}7LS&7yqM~rKSraG-U?n%~9vihQ$cL=agle{VWG%R<Km$xYX|epmFXN%brMV}~^U*Si11OAcRv=EJ3Ymh29o@N<zTkVsypWsgHnb{s_qqE7tf>1u@}P?3"
            "z&-*TQQTD#lxgkb@N6Z%tlgR2+8w~u&S@GUIsKOtNVPi+T|1T7j}UU)vG&`yZvs-0Vm*jwEAakU<+v7zGv>lj{FQSLyfaQwiaO4!&p*xbnA6W>kX^42zPgaF"
            "K2|FaE9WsUAG^f$!9S?qYle%8vN%gozXj?1dP>F&a{$w1fBD=%o2(}qr<^pmz|CWC1vQc=jr@tQX@W$4<E#1fVq<r_A-x29`VmNQpfy$q<wAu@NwID_+&mfj"
            "W}DH-7z&v2X2};)WLQEqb7Y_BY6qtZgm^?EVp1dD4O+RhamJ;gTw2_H=j7U+OylH>1W#>C593*^LMLBaMA<hRbw#wegQDc>g|f4HIrCiHID8Q~oY#Ep5AkhO"
            "zs4a%i?M*cN)f9#3w5)~B891+d}HD5uVU?liSw(X&B1@;JWk6bftvJ6bkFSKG=~n20JLTG&<<;JwAk2MqUqxFTeH_HOckkaSl#B6Lk)lQeED4HaITtpi+?9X"
            "F*P4OX+8=m+|5o|B7kPH;yQ>=QfL*rT6gi}fjoS8RPc?244oO~cu?yjVEVU6TTc@}C@c?;gpwUSfv4pOsA7>MTi+hkqA&rp{fKK{r1g6{%<Q|qua>3I&gs?1"
            "Q3Da523EY`t8p-8h>b7{d_-M@JVj4qi%FiQeQHsTW{WgH?^dozV<%DPSbLJR3A@iJ_Vfu{-p*$Bd-nwO+uK213R{5Y=r>xVms!@&ieflkc<?@QF5t*=$D@%%"
            "{A;|8{~7p93(HNUOI?2^WKN!{?AT|VgBSU5EAeCR`7_Bn2***Z4+8)3hWaNQ5!QTQHkX{lfH+DQrRh*+fMg&nU=BY7w;zr^oFZE6d@GvgA5z_PFD~P2aj{+}"
            "K+G?D?H~3ecdDi~sH`vz6#Lzxey>hIq^UaYH{*wqI?Mg>K}jF}{^XN$sZdU!`{>h0?zNhK{(<`aOls~y-=S{-(jgE1<xCE;Vy*j-N){&`md(Q!@ncQ+cmv|W"
            "KgO6mV_#8(skNqlh^<bDmBtfh{YE$}9sXveJ%RJpl5g*MJt)aX%zwOl^`Il4BMhV^H05Iz`QS<l9DzURI|1KkH{l_Ge6X{ul7}s`2f`CRPFCd^+g^`1twd-u"
            "R>If^?eicj&%ZMYPd+yRN%|*y#XRg+J}5QY8z(mfr;D25$2rOeee)EurVkrqjLC}Z@yU(H2K<Xk`@*kpu-*IS&W}fSr2c}WNLcdAskOhH{|6RQFE;"
        )
    )
    .decode()
    .split()
)


@kind("seed_phrase", S)
def _(r):
    n = r.choice([12, 12, 24])
    e = rbytes(r, n * 4 // 3)
    cs = n // 3
    v = int.from_bytes(e, "big") << cs | hashlib.sha256(e).digest()[0] >> (8 - cs)
    return " ".join(BIP39[v >> 11 * (n - 1 - i) & 2047] for i in range(n))


# ---------------------------------------------------------------- chosen secrets
C = "SECRET_CHOSEN"


def words(s):
    return s.split()


EN_W = words(
    "summer winter spring dragon monkey football sunshine princess shadow coffee pepper ginger buster charlie bailey liverpool arsenal chelsea yankees lakers cowboys tiger flower cookie banana orange purple silver diamond thunder phoenix hunter ranger mustang harley rocket pirate wizard jasper molly daisy oscar rosie jordan freedom blessed family matrix pickle pumpkin muffin snoopy batman turtle london boston austin brooklyn vegas guitar hockey soccer tennis fishing camping"
)
DE_W = words(
    "Sommer Winter Herbst Schatz Hase Maus Schnecke Sonne Stern Bayern Schalke Borussia Hamburg Berlin Passwort Hallo Geheim Urlaub Garten Blume Katze Hund Bello Minka Fussball Familie Julia Lukas Emma Leon Nordsee Mallorca Golf Porsche Drache Engel Liebe Erdbeere Kaffee Bierchen Werder Mausi Zuhause"
)
FR_W = words(
    "soleil chouchou doudou loulou bonjour maman marseille paris bretagne chocolat princesse coucou papillon tigrou minou felix filou vacances camille lucas jules football azerty lavande montagne etoile licorne bisous nounours motdepasse hiver printemps automne"
)
ES_W = words(
    "verano invierno amor cielo princesa corazon estrella realmadrid barcelona betis sevilla malaga lola thor luna canela familia contrasena hola mariposa tequiero futbol playa gitana churro pirata dragon bonita navidad lucas alba"
)
IT_W = words(
    "estate inverno amore stella juventus napoli roma inter milan ciao luna fiore principessa cucciolo gattino briciola zucchero farfalla giulia matteo famiglia mamma sole mare vacanze ferrari vespa pippo topolino tesoro"
)
NL_W = words(
    "zomer winter welkom ajax feyenoord voetbal poes hond schatje lente fietsen bloem koekje amsterdam tulp zeilen kaas geheim"
)
PT_W = words(
    "verao benfica sporting porto saudade amor flamengo corinthians praia familia princesa estrela bolinha nina thor mudar senha coracao cafe"
)


def style(r, ws):
    a, b = r.choice(ws), r.choice(ws)
    y = str(r.choice([r.randint(2015, 2025), r.randint(2020, 2025), r.randint(1965, 2012)]))
    d = w(r, (3, str(r.randint(1, 99))), (3, "123"), (1, "1234"), (1, "007"), (2, y[2:]))
    s = r.choice("!!!!!!?*#$@_-")
    c = a[0].upper() + a[1:]
    lo = a.lower()
    return w(
        r,
        (9, c + y + s),
        (7, c + d + s),
        (6, c + d),
        (6, lo + d),
        (4, c + y),
        (4, lo + y),
        (4, c + s + y),
        (3, lo + b.lower() + d),
        (3, c + b[0].upper() + b[1:] + d),
        (2, c + s + d),
        (2, lo + "_" + d),
        (2, d + c + s),
        (2, leet(r, c) + d + s),
        (2, leet(r, c) + s),
        (1, c * 1 + "." + b.lower() + "." + d),
        (1, lo + s + s),
        (1, c + b.lower() + s),
        (1, f"{r.choice(ALNUM.upper())}{r.choice(LOW)}{c}{d}{s}"),
    )


def leet(r, s):
    m = {"a": "@4", "e": "3", "i": "1!", "o": "0", "s": "$5", "t": "7"}
    return "".join(r.choice(m[c]) if c in m and (i and r.random() < 0.7) else c for i, c in enumerate(s))


for _n, _w in (("en", EN_W), ("de", DE_W), ("fr", FR_W), ("es", ES_W), ("it", IT_W), ("nl", NL_W), ("pt", PT_W)):
    kind("pw_" + _n, C)(lambda r, _w=_w: style(r, _w))


@kind("pw_simple", C)
def _(r):
    a = r.choice(EN_W)
    return w(
        r,
        (3, a),
        (2, a + r.choice(EN_W)),
        (2, "qwerty" + num(r, 2)),
        (1, "asdf" + num(r, 3)),
        (1, "1q2w3e4r" + r.choice(["", "5t", "!"])),
        (1, "password" + num(r, 1)),
        (2, a + a[-1]),
        (1, "iloveyou" + num(r, 1)),
        (1, r.choice(FIRST["en"]) + num(r, 2)),
        (1, "letmein" + num(r, 2)),
    )


@kind("pw_company", C)
def _(r):
    c = r.choice(
        words("Acme Northgate Brightwell Ridgeline Tally Kestrel Helios Vertex Cobalt Meridian Contoso Falcon Nimbus")
    )
    s = r.choice("!!!#@$")
    return w(
        r,
        (4, c + str(r.randint(2019, 2025)) + s),
        (3, "Welcome" + r.choice(["1", "01", "123", "2024", "2025", "@123"]) + s),
        (2, c + "123" + s),
        (
            2,
            r.choice(["Admin", "Changeme", "Password", "Start", "Temp"])
            + r.choice(["1", "123", "2024", "@1", "01"])
            + s,
        ),
        (1, c.lower() + "_" + r.choice(["admin", "prod", "guest", "it"]) + num(r, 2)),
    )


@kind("pw_dev", C)
def _(r):
    """passwords developers type into local configuration"""
    return w(
        r,
        (
            3,
            r.choice(["postgres", "root", "admin", "mysql", "rabbit", "redis", "grafana"])
            + num(r, r.choice([1, 3, 4])),
        ),
        (2, r.choice(["S3cret", "s3cr3t", "Sup3rS3cret", "changeme", "Passw0rd", "P@ssw0rd", "hunter"]) + num(r, 2)),
        (2, r.choice(EN_W) + r.choice(["_db", "_dev", "-prod", "_local"]) + num(r, 2)),
        (1, r.choice(EN_W).title() + r.choice(EN_W).title() + num(r, 2)),
    )


@kind("pw_random", C)
def _(r):
    while True:
        s = r.choice(ALNUM) + pick(r, ALNUM * 2 + "!#%&*+-_=?.$", r.choice([6, 7, 8, 10, 12])) + r.choice(ALNUM + "!#%")
        if any(c.isdigit() for c in s) and any(c.isupper() for c in s) and any(c.islower() for c in s):
            return s


@kind("temp_pw", C)
def _(r):
    return w(
        r,
        (
            3,
            pick(r, "bcdfghjkmnprstvw", 1).upper()
            + r.choice("aeiou")
            + pick(r, "bcdfghjkmnprstvw", 1)
            + num(r, 4)
            + r.choice(["", "!", "#"]),
        ),
        (2, pick(r, "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789", 8)),
        (2, r.choice(EN_W).title() + "-" + r.choice(EN_W) + "-" + num(r, 2)),
        (1, r.choice(["Temp", "Start", "Reset", "Init"]) + num(r, 4) + r.choice("!#")),
    )


@kind("pw_words", C)
def _(r):
    a = [
        r.choice(
            EN_W
            + words(
                "kettle window purple ladder river battery mountain garden pencil rocket velvet anchor biscuit marble"
            )
        )
        for _ in range(r.choice([3, 4, 4]))
    ]
    return w(
        r,
        (3, "-".join(a)),
        (2, "".join(x.title() for x in a)),
        (2, "-".join(a) + str(r.randint(1, 99))),
        (1, ".".join(a)),
        (1, "_".join(a)),
    )


PHR = {
    "en": [
        "my {a} eats {b} on {d}days",
        "the {a} {b} never sleeps",
        "purple {a}s drink cold {b}",
        "we met in {b} in the rain",
        "correct {a} battery {b}",
        "i still owe dad {n} {b}s",
        "never trust a {a} with {b}",
        "grandmas {b} pie beats {a}",
    ],
    "de": [
        "mein {a} mag keinen {b}",
        "am Freitag gibt es {b} mit {a}",
        "drei {a} und ein {b}",
        "der {a} schläft im {b}",
        "Oma backt {n} {b} im Winter",
        "kein {b} ohne {a}",
    ],
    "fr": [
        "le {a} mange trop de {b}",
        "mon {a} adore la {b}",
        "pas de {b} sans {a} le dimanche",
        "{n} {a}s et une {b}",
        "la {b} bleue de mon {a}",
    ],
}
PHA = {
    "en": words("tiger hamster dragon neighbour robot badger wizard turtle"),
    "de": words("Hamster Dackel Nachbar Kater Igel Elefant"),
    "fr": words("chat voisin hamster lapin hibou perroquet"),
    "es": words("gato loro vecino perro conejo"),
    "it": words("gatto cane vicino pappagallo nonno"),
}
PHB = {
    "en": words("waffle lisbon coffee pickle biscuit mustard apple"),
    "de": words("Kuchen Kaffee Senf Keller Apfel Spargel"),
    "fr": words("confiture valise moutarde fenêtre trompette"),
    "es": words("tortilla guitarra paella luna"),
    "it": words("divano caffè pizza chitarra"),
}


def phrase(r, l):
    return r.choice(PHR[l]).format(
        a=r.choice(PHA[l]), b=r.choice(PHB[l]), d=r.choice(words("Mon Tues Thurs Fri Sun")), n=r.randint(3, 20)
    )


for _n in ("en", "de", "fr"):
    kind("phrase_" + _n, C)(lambda r, _n=_n: phrase(r, _n))


@kind("pin4", C)
def _(r):
    return w(r, (6, num(r, 4)), (2, "%02d%02d" % (r.randint(1, 30), r.randint(1, 12))), (1, str(r.randint(1955, 2012))))


@kind("pin6", C)
def _(r):
    return w(r, (4, num(r, 6)), (1, "%02d%02d%02d" % (r.randint(1, 30), r.randint(1, 12), r.randint(50, 99))))


@kind("door_code", C)
def _(r):
    return w(
        r,
        (5, num(r, 4)),
        (3, num(r, 4) + "#"),
        (2, "C" + num(r, 4)),
        (1, num(r, 6)),
        (2, "#" + num(r, 4)),
        (1, num(r, 4) + r.choice("ABXY")),
        (1, "*" + num(r, 4) + "#"),
    )


@kind("digicode", C)
def _(r):
    return w(
        r,
        (4, num(r, 4) + r.choice("AB")),
        (3, num(r, 2) + r.choice("AB") + num(r, 2)),
        (2, r.choice("AB") + num(r, 4)),
        (2, num(r, 5)),
    )


@kind("lock3", C)
def _(r):
    return w(
        r,
        (4, num(r, 3)),
        (2, "-".join(num(r, 1) for _ in range(3))),
        (1, f"{r.randint(1, 39)}-{r.randint(1, 39)}-{r.randint(1, 39)}"),
    )


@kind("alarm_code", C)
def _(r):
    return w(r, (5, num(r, 4)), (3, num(r, 6)), (1, num(r, 5)))


@kind("wifi_own", C)
def _(r):
    a, b = r.choice(EN_W), r.choice(EN_W)
    return w(
        r,
        (3, a.title() + b.title() + str(r.randint(1, 2025))),
        (3, a + b + num(r, 2)),
        (2, f"{r.choice(LAST['en']).title()}Family{r.randint(2010, 2025)}"),
        (1, f"{r.choice(['Hausnummer', 'casa', 'chez', 'villa'])}{r.choice(LAST['de'])}{num(r, 2)}"),
        (1, a.title() + "!" + b + num(r, 2)),
    )


@kind("wifi_printed", C)
def _(r):
    return w(
        r,
        (4, four(num(r, 20))),
        (3, num(r, 20)),
        (2, pick(r, "abcdefghjkmnpqrstuvwxyz23456789ABCDEFGHJKLMNPQRSTUVWXYZ", r.choice([10, 12]))),
        (2, pick(r, "0123456789ABCDEF", 26)),
        (1, num(r, 16)),
    )


@kind("otp", C)
def _(r):
    return w(r, (7, num(r, 6)), (2, grp(num(r, 6), 3, 3)), (1, grp(num(r, 6), 3, 3, sep="-")))


@kind("otp_g", C)
def _(r):
    return "G-" + num(r, 6)


@kind("backup_code", C)
def _(r):
    return w(
        r,
        (3, pick(r, HEX, 5) + "-" + pick(r, HEX, 5)),
        (3, grp(num(r, 8), 4, 4)),
        (2, num(r, 8)),
        (1, pick(r, LOW + DIG, 4) + "-" + pick(r, LOW + DIG, 4)),
    )


@kind("puk", C)
def _(r):
    return num(r, 8)


@kind("answer_pet", C)
def _(r):
    return r.choice(
        words(
            "Biscuit Whiskers Bella Rufus Tigger Pancake Shadow Mittens Duke Pebbles Gizmo Nala Hugo Socks Barney Waffles Rex Milo Rocky Coco"
        )
    )


@kind("answer_maiden", C)
def _(r):
    return r.choice(
        words(
            "Kowalczyk Hargreaves Brennan Delacroix Lindqvist Abernathy Fitzgerald Novak Winterbottom Okonkwo Castellano Steinbach Pettersson Mahoney Rutherford Vandermeer Bellini Quintana"
        )
    )


@kind("code_word", C)
def _(r):
    return r.choice(
        [
            "Bluebird",
            "pineapple",
            "Marmalade",
            "Silver Fox",
            "Lighthouse",
            "red kettle",
            "hot chocolate",
            "Dragonfly",
            "purple socks",
            "Treacle",
            "banana boat",
            "Snowdrop",
        ]
    )


@kind("meeting_code", C)
def _(r):
    return w(r, (4, num(r, 6)), (3, pick(r, ALNUM, 6)), (2, pick(r, ALNUM, 10)), (1, r.choice(EN_W) + num(r, 2)))
