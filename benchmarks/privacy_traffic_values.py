"""Makers of the values of privacy_traffic.py: `VALUES[kind](random.Random)`, and `TYPES[kind]`, the type of the value."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import struct
import zlib
from collections.abc import Callable

R = random.Random
VALUES: dict[str, Callable[[R], str]] = {}
TYPES: dict[str, str] = {}
AZ, az, D = string.ascii_uppercase, string.ascii_lowercase, string.digits
AN = string.ascii_letters + D
HEX = "0123456789abcdef"
B64U = AN + "-_"
B64 = AN + "+/"


def luhn_digit(t: str) -> str:
    k = 0
    for i, c in enumerate(reversed(t)):
        v = int(c) * (2 if i % 2 == 0 else 1)
        k += v - 9 if v > 9 else v
    return str(-k % 10)


def verhoeff_digit(t: str) -> str:
    d = [[0] * 10 for _ in range(10)]
    for a in range(10):
        for b in range(10):
            d[a][b] = (
                ((a + b) % 5 if b < 5 else 5 + (a + b) % 5) if a < 5 else (5 + (a - b) % 5 if b < 5 else (a - b) % 5)
            )
    p = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    for i in range(2, 8):
        p.append([p[i - 1][p[1][j]] for j in range(10)])
    c = 0
    for i, x in enumerate(reversed(t)):
        c = d[c][p[(i + 1) % 8][int(x)]]
    return str([0, 4, 3, 2, 1, 5, 6, 7, 8, 9][c])


def mod_11_10_digit(t: str) -> str:
    c = 5
    for x in t:
        c = ((c or 10) * 2 % 11 + int(x)) % 10
    return str((1 - (c or 10) * 2 % 11) % 10)


def cf_letter(t: str) -> str:
    odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
    n = 0
    for i, c in enumerate(t):
        v = int(c) if c.isdigit() else ord(c) - 65
        n += odd[v] if i % 2 == 0 else v
    return chr(65 + n % 26)


def kind(name: str, typ: str):
    def deco(f):
        VALUES[name] = f
        TYPES[name] = typ
        return f

    return deco


def s(r: R, alphabet: str, n: int) -> str:
    return "".join(r.choice(alphabet) for _ in range(n))


def dg(r: R, n: int) -> str:
    return s(r, D, n)


def nz(r: R, n: int) -> str:
    return r.choice("123456789") + dg(r, n - 1)


def grp(t: str, *sizes: int, sep: str = " ") -> str:
    out, i = [], 0
    for n in sizes:
        out.append(t[i : i + n])
        i += n
    if i < len(t):
        out.append(t[i:])
    return sep.join(out)


def every(t: str, n: int, sep: str = " ") -> str:
    return sep.join(t[i : i + n] for i in range(0, len(t), n))


def rb(r: R, n: int) -> bytes:
    return bytes(r.randrange(256) for _ in range(n))


def b64(b: bytes) -> str:
    return base64.b64encode(b).decode()


def b64u(b: bytes) -> str:
    return base64.urlsafe_b64encode(b).decode().rstrip("=")


def fmt(r: R, pattern: str) -> str:
    """# digit, 1-9 literal; % nonzero digit."""
    return "".join(dg(r, 1) if c == "#" else r.choice("23456789") if c == "%" else c for c in pattern)


# ---------------------------------------------------------------- e-mail
NAMES = {
    "en": (
        "james oliver emily sarah mike priya chloe dan laura kevin rachel tom aisha ben megan ravi grace nathan wei tanya".split(),
        "walker patel hughes brown oconnor chen mitchell reid lawson singh carter foster nguyen price shaw okafor bennett kapoor lowe".split(),
        "gmail.com outlook.com yahoo.com hotmail.co.uk icloud.com gmail.com proton.me".split(),
        "northgatelogistics.com brightfield.io halcyonhealth.co.uk meridian-parts.com tallowbridge.com cloverleaf.dev quantis-labs.com stonebrook.co.uk ardentretail.com acmefreight.net".split(),
    ),
    "fr": (
        "julien camille marie thomas nadia lucie antoine sophie karim pierre elodie mathieu ines claire".split(),
        "martin durand lefebvre moreau benali girard fontaine roussel perrin chevalier dupuis marchand".split(),
        "gmail.com orange.fr free.fr laposte.net hotmail.fr wanadoo.fr sfr.fr".split(),
        "atelier-beaumont.fr groupe-valnor.fr logipro.fr maison-delcourt.com solutys.fr transalp.eu".split(),
    ),
    "de": (
        "stefan anna lukas julia markus sabine jan katrin felix lena tobias petra".split(),
        "mueller schmidt becker hoffmann wagner krause lehmann vogt brandt seidel yilmaz koenig".split(),
        "gmx.de web.de t-online.de gmail.com posteo.de gmx.net".split(),
        "nordwerk-gmbh.de hansa-technik.de stadtwerke-lindau.de kellerbau.de alpenlogistik.at medisoft.de".split(),
    ),
    "es": (
        "carlos lucia javier marta pablo elena sergio carmen raul ana diego nuria".split(),
        "garcia fernandez lopez ruiz navarro moreno ortega serrano molina castro vidal".split(),
        "gmail.com hotmail.com yahoo.es outlook.es gmail.com".split(),
        "talleresibarra.es grupo-solana.com asesoriamontes.es iberlog.com clinicaduero.es".split(),
    ),
    "it": (
        "marco giulia luca francesca andrea chiara matteo paolo elisa davide".split(),
        "rossi bianchi ferrari colombo ricci esposito marino greco conti galli".split(),
        "gmail.com libero.it hotmail.it virgilio.it alice.it".split(),
        "studiobrambilla.it arredi-veneti.it tecnofluid.it gruppolago.com".split(),
    ),
    "nl": (
        "daan sanne bram lotte jeroen femke thijs anouk pieter marieke".split(),
        "devries jansen vandenberg bakker visser smit mulder dekker hendriks".split(),
        "gmail.com ziggo.nl kpnmail.nl hotmail.com xs4all.nl".split(),
        "bouwpartners.nl delftware.nl groenhuis.nl vandamlogistics.com".split(),
    ),
    "pt": (
        "joao ana pedro mariana tiago beatriz rafael ines bruno leticia".split(),
        "silva santos pereira costa oliveira ferreira almeida ribeiro souza".split(),
        "gmail.com sapo.pt hotmail.com uol.com.br outlook.pt".split(),
        "construtora-lima.pt lusotec.pt mercadoazul.com.br viveiros.com.br".split(),
    ),
}
ROLE = {
    "en": "info support sales hr billing accounts".split(),
    "fr": "contact compta rh commandes".split(),
    "de": "info buchhaltung vertrieb service".split(),
    "es": "info pedidos administracion".split(),
    "it": "info amministrazione ordini".split(),
    "nl": "info administratie".split(),
    "pt": "geral comercial financeiro".split(),
}


def mail(r: R, lang: str, work: float = 0.5, role: float = 0.07) -> str:
    fs, ls, free, comp = NAMES[lang]
    f, l = r.choice(fs), r.choice(ls)
    if r.random() < role:
        return r.choice(ROLE[lang]) + "@" + r.choice(comp)
    if r.random() < work:
        loc = r.choice([f"{f}.{l}", f"{f}.{l}", f"{f[0]}.{l}", f"{f[0]}{l}", f"{f}", f"{f}_{l}", f"{l}.{f[0]}"])
        a = loc + "@" + r.choice(comp)
    else:
        y = r.choice([str(r.randint(60, 99)), str(r.randint(1970, 2004)), "", str(r.randint(1, 99))])
        loc = r.choice(
            [f"{f}.{l}{y}", f"{f}{l}{y}", f"{l}.{f}", f"{f}_{l}{y}", f"{f[0]}{l}{y}", f"{f}{y or '7'}", f"{f}.{l}+shop"]
        )
        a = loc + "@" + r.choice(free)
    c = r.random()
    if c < 0.04:
        loc, dom = a.split("@")
        a = loc.title() + "@" + dom
    return a


for _l in NAMES:
    kind("email" if _l == "en" else f"email_{_l}", "EMAIL_ADDRESS")(lambda r, _l=_l: mail(r, _l))
kind("email_work", "EMAIL_ADDRESS")(lambda r: mail(r, "en", 1.0, 0.0))


# ---------------------------------------------------------------- phones
def pick(*pats):
    return lambda r: fmt(r, r.choice(pats))


def us(r: R) -> str:
    a = r.choice("212 415 646 312 713 206 512 617 303 404 702 847 919 214 305".split())
    e = str(r.randint(220, 989))
    l = dg(r, 4)
    return r.choice(
        [
            f"({a}) {e}-{l}",
            f"{a}-{e}-{l}",
            f"{a}.{e}.{l}",
            f"+1 {a} {e} {l}",
            f"+1 ({a}) {e}-{l}",
            f"{a}{e}{l}",
            f"+1{a}{e}{l}",
            f"1-{a}-{e}-{l}",
            f"{a} {e} {l}",
            f"+1-{a}-{e}-{l}",
            f"({a}){e}-{l}",
            f"{a}-{e}-{l} x{dg(r, 3)}" if r.random() < 0.3 else f"{a}-{e}-{l}",
        ]
    )


kind("phone_us", "PHONE_NUMBER")(us)
kind("phone_uk", "PHONE_NUMBER")(
    pick(
        "07%## ######",
        "07%##-######",
        "07%########"[:11],
        "+44 7%## ######",
        "+447%########"[:13],
        "020 7### ####",
        "0161 %## ####",
        "+44 (0)20 8### ####",
        "0121 %## ####",
        "07%## ### ###",
        "+44 7%## ### ###",
        "01223 %#####",
    )
)
kind("phone_fr", "PHONE_NUMBER")(
    pick(
        "06 ## ## ## ##",
        "06########",
        "07 %# ## ## ##",
        "+33 6 ## ## ## ##",
        "01 %# ## ## ##",
        "06.##.##.##.##",
        "+336########",
        "04 %# ## ## ##",
        "+33 (0)6 ## ## ## ##",
        "02-%#-##-##-##",
        "0033 6 ## ## ## ##",
    )
)
kind("phone_de", "PHONE_NUMBER")(
    pick(
        "0151 %#######",
        "0176/%#######",
        "+49 170 %######",
        "0172-%######",
        "030 %#######",
        "+49 (0)89 %######",
        "089/%#####-##",
        "+49151%#######",
        "0221 %######",
        "0160 %### ####",
        "+49 40 %#######",
        "0049 171 %######",
    )
)
kind("phone_es", "PHONE_NUMBER")(
    pick(
        "6## ### ###",
        "6########",
        "+34 6## ### ###",
        "91 %## ## ##",
        "6## ## ## ##",
        "93%######"[:9],
        "+346########",
        "0034 6## ### ###",
        "7%# ### ###",
        "6##-###-###",
    )
)
kind("phone_it", "PHONE_NUMBER")(
    pick(
        "33% #######",
        "34% ### ####",
        "+39 33# #######",
        "02 %#######",
        "06 %### ####",
        "+39 347 ### ## ##",
        "328%######",
        "011-%######",
        "+3934########",
        "0039 338 #######",
    )
)
kind("phone_in", "PHONE_NUMBER")(
    pick(
        "+91 98### #####",
        "+91-9#########",
        "9#########",
        "+919#########",
        "+91 8### ### ###",
        "080-4### ####",
        "98###-#####",
        "+91 7# #### ####",
        "022 2### ####",
    )
)
kind("phone_ch", "PHONE_NUMBER")(
    pick(
        "079 %## ## ##",
        "+41 79 %## ## ##",
        "+41 44 %## ## ##",
        "0041 78 %## ## ##",
        "076 %## ## ##",
        "022 %## ## ##",
        "+4179%######",
    )
)
kind("phone_nl", "PHONE_NUMBER")(
    pick(
        "06-########",
        "06 %#######",
        "+31 6 ########",
        "06########",
        "+316########",
        "020-%## ## ##",
        "010 %## ## ##",
        "0031 6 #### ####",
        "+31 (0)30 %## ####",
    )
)
kind("phone_pt", "PHONE_NUMBER")(
    pick("91# ### ###", "96#######", "+351 93# ### ###", "21# ### ###", "+35191#######", "22 %## ## ##")
)
kind("phone_br", "PHONE_NUMBER")(
    pick(
        "(11) 9####-####",
        "+55 11 9#### ####",
        "(21) 9%###-####",
        "11 9########",
        "+55 (31) 9####-####",
        "+55119########",
        "(41) 3###-####",
    )
)
kind("phone_be", "PHONE_NUMBER")(
    pick("0478 ## ## ##", "+32 47# ## ## ##", "02 %## ## ##", "+324########"[:12], "0495/##.##.##")
)
kind("phone_at", "PHONE_NUMBER")(pick("0664 %######", "+43 664 %## ## ##", "+43 1 %######", "0699/########"))
kind("phone_other", "PHONE_NUMBER")(
    pick(
        "+48 5## ### ###",
        "+46 70 ### ## ##",
        "+61 4## ### ###",
        "+65 9### ####",
        "+971 50 ### ####",
        "+353 87 ### ####",
        "+45 %# ## ## ##",
        "+81 90-####-####",
        "+86 138 #### ####",
        "+234 803 ### ####",
        "+52 55 %### ####",
        "+27 82 ### ####",
        "+420 6## ### ###",
        "+90 532 ### ## ##",
        "+972 54-###-####",
        "+47 9## ## ###",
    )
)
kind("phone_pl", "PHONE_NUMBER")(pick("+48 5## ### ###", "+48 6########", "0048 5## ### ###"))
kind("phone_mx", "PHONE_NUMBER")(pick("55 %### ####", "+52 55 %### ####", "+52 1 33 %### ####", "(81) %### ####"))


# ---------------------------------------------------------------- cards, banks
def _card(r: R) -> tuple[str, str]:
    p = r.random()
    if p < 0.5:
        b = r.choice(["4" + dg(r, 5), "4556" + dg(r, 2), "4929" + dg(r, 2), "4970" + dg(r, 2)])
        n, sz = 16, (4, 4, 4, 4)
    elif p < 0.85:
        b = r.choice([str(r.randint(510000, 559999)), str(r.randint(222100, 272099))])
        n, sz = 16, (4, 4, 4, 4)
    else:
        b = r.choice(["34", "37"]) + dg(r, 4)
        n, sz = 15, (4, 6, 5)
    t = b + dg(r, n - 1 - len(b))
    t += luhn_digit(t)
    return t, grp(t, *sz)


@kind("card", "CREDIT_CARD")
def card(r: R) -> str:
    t, g = _card(r)
    return r.choice([t, g, g, g.replace(" ", "-")])


@kind("card_plain", "CREDIT_CARD")
def card_plain(r: R) -> str:
    return _card(r)[0]


def iban(cc: str, bban: str) -> str:
    n = "".join(str(int(c, 36)) for c in bban + cc + "00")
    return f"{cc}{98 - int(n) % 97:02d}{bban}"


def bban(r: R, cc: str) -> str:
    if cc == "DE":
        return r.choice(
            ["10010010", "37040044", "50010517", "12030000", "20050550", "70150000", "37010050", "50070010"]
        ) + r.choice([dg(r, 10), "0" + nz(r, 9), "00" + nz(r, 8)])
    if cc == "FR":
        b = r.choice(["30004", "30003", "20041", "10278", "14707", "30002", "16958"])
        g, a = "0" + dg(r, 4), dg(r, 11)
        k = 97 - (89 * int(b) + 15 * int(g) + 3 * int(a)) % 97
        return f"{b}{g}{a}{k:02d}"
    if cc == "ES":
        b, o, a = r.choice(["2100", "0049", "0182", "0081", "1465", "2095"]), dg(r, 4), dg(r, 10)

        def dc(t):
            w = [1, 2, 4, 8, 5, 10, 9, 7, 3, 6]
            k = 11 - sum(x * int(c) for x, c in zip(w, t.zfill(10), strict=False)) % 11
            return {11: "0", 10: "1"}.get(k, str(k))

        return b + o + dc("00" + b + o) + dc(a) + a
    if cc == "IT":
        t = (
            r.choice(["03069", "02008", "05034", "01030", "03268"])
            + "0"
            + dg(r, 4)
            + r.choice(["000000", "00000" + s(r, "123", 1), "CC0" + dg(r, 3)])
            + dg(r, 6)
        )
        odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
        tot = 0
        for i, c in enumerate(t):
            v = int(c) if c.isdigit() else ord(c) - 65
            tot += odd[v] if i % 2 == 0 else v
        return chr(65 + tot % 26) + t
    if cc == "GB":
        return r.choice(["NWBK", "BARC", "LOYD", "MIDL", "MONZ", "REVO"]) + dg(r, 6) + dg(r, 8)
    if cc == "NL":
        while True:
            a = "0" + nz(r, 9)
            if sum((10 - i) * int(c) for i, c in enumerate(a)) % 11 == 0:
                return r.choice(["INGB", "RABO", "ABNA", "BUNQ", "SNSB"]) + a
    if cc == "BE":
        t = r.choice(["001", "363", "734", "063", "230"]) + dg(r, 7)
        return t + f"{int(t) % 97 or 97:02d}"
    if cc == "PT":
        t = r.choice(["0035", "0033", "0010", "0018", "0007"]) + "0" + dg(r, 3) + dg(r, 11)
        return t + f"{98 - int(t + '00') % 97:02d}"
    if cc == "CH":
        return r.choice(["00762", "09000", "00240", "08390"]) + "0" + dg(r, 11)
    if cc == "AT":
        return r.choice(["20111", "12000", "32000", "60000"]) + dg(r, 11)
    if cc == "LU":
        return "001" + dg(r, 13)
    raise KeyError(cc)


def _iban(cc: str):
    def f(r: R) -> str:
        t = iban(cc, bban(r, cc))
        return r.choice([every(t, 4), every(t, 4), t, t] + ([t.lower()] if r.random() < 0.1 else []))

    return f


for _c in "DE FR ES IT GB NL BE PT CH AT LU".split():
    kind("iban_" + _c.lower(), "IBAN_CODE")(_iban(_c))

kind("us_account", "BANK_ACCOUNT")(lambda r: nz(r, r.choice([9, 10, 10, 12, 8])))


@kind("us_routing", "BANK_ACCOUNT")
def us_routing(r: R) -> str:
    t = r.choice(["0210", "1210", "0260", "0710", "1110", "3220"]) + dg(r, 4)
    w = [3, 7, 1] * 3
    return t + str(-sum(a * int(c) for a, c in zip(w, t, strict=False)) % 10)


kind("uk_sort", "BANK_ACCOUNT")(
    lambda r: (
        r.choice(["20", "40", "60", "30", "09", "04", "77"])
        + (lambda q: r.choice([f"-{q[:2]}-{q[2:]}", f"-{q[:2]}-{q[2:]}", f" {q[:2]} {q[2:]}", q]))(dg(r, 4))
    )
)
kind("uk_account", "BANK_ACCOUNT")(lambda r: nz(r, 8))
kind("in_account", "BANK_ACCOUNT")(lambda r: r.choice(["50100" + dg(r, 9), nz(r, 11), nz(r, 12), "0" + nz(r, 14)]))


@kind("br_account", "BANK_ACCOUNT")
def br_account(r: R) -> str:
    return nz(r, 5) + "-" + dg(r, 1)


# ---------------------------------------------------------------- government ids
@kind("us_ssn", "GOVERNMENT_ID")
def us_ssn(r: R) -> str:
    a = r.choice([x for x in range(1, 900) if x != 666])
    t = f"{a:03d}{r.randint(1, 99):02d}{r.randint(1, 9999):04d}"
    return r.choice([grp(t, 3, 2, 4, sep="-")] * 4 + [t, grp(t, 3, 2, 4)])


kind("us_itin", "GOVERNMENT_ID")(
    lambda r: f"9{dg(r, 2)}-{r.choice([70, 75, 78, 80, 85, 88, 90, 92, 94, 97])}-{dg(r, 4)}"
)
kind("us_passport", "GOVERNMENT_ID")(lambda r: r.choice([nz(r, 9), r.choice("AXCY") + dg(r, 8)]))
kind("us_dl", "GOVERNMENT_ID")(
    lambda r: r.choice(
        [
            r.choice("BDEFNY") + dg(r, 7),
            nz(r, 9),
            nz(r, 8),
            r.choice(AZ) + grp(dg(r, 12), 3, 3, 2, 3, sep="-"),
            r.choice(AZ) + dg(r, 12),
        ]
    )
)


@kind("uk_nino", "GOVERNMENT_ID")
def uk_nino(r: R) -> str:
    p = r.choice("AB AE CE EG GH JA JK KH LM MT NA NW OA PC PX RA SE SK TN WE YB ZR".split())
    t, c = dg(r, 6), r.choice("ABCD")
    return r.choice(
        [
            f"{p}{t}{c}",
            f"{p} {every(t, 2)} {c}",
            f"{p} {t} {c}",
            f"{p}{t}{c}".lower() if r.random() < 0.3 else f"{p}{t}{c}",
        ]
    )


@kind("uk_nhs", "GOVERNMENT_ID")
def uk_nhs(r: R) -> str:
    while True:
        t = r.choice("4567") + dg(r, 8)
        k = -sum((10 - i) * int(c) for i, c in enumerate(t)) % 11
        if k < 10:
            t += str(k)
            return r.choice([grp(t, 3, 3, 4), grp(t, 3, 3, 4), t, grp(t, 3, 3, 4, sep="-")])


kind("uk_passport", "GOVERNMENT_ID")(lambda r: r.choice([r.choice("51") + dg(r, 8), nz(r, 9)]))


@kind("uk_dl", "GOVERNMENT_ID")
def uk_dl(r: R) -> str:
    sn = r.choice("MORGA SMITH JONES PATEL WILSO TAYLO EVANS KHAN9 LEE99 BROWN".split())
    y = dg(r, 2)
    return f"{sn}{y[0]}{r.choice(['0', '5'])}{r.randint(1, 9)}{r.randint(1, 28):02d}{y[1]}{s(r, AZ, 1)}{r.choice([s(r, AZ, 1), '9'])}9{s(r, AZ, 2)}"


@kind("fr_nir", "GOVERNMENT_ID")
def fr_nir(r: R) -> str:
    t = f"{r.choice('12')}{r.randint(55, 99):02d}{r.randint(1, 12):02d}{r.choice(['75', '69', '13', '33', '59', '31', '44', '92', '99'])}{r.randint(1, 580):03d}{r.randint(1, 400):03d}"
    t += f"{97 - int(t) % 97:02d}"
    return r.choice([t, grp(t, 1, 2, 2, 2, 3, 3, 2), grp(t, 1, 2, 2, 2, 3, 3, 2), t[:13] + " " + t[13:]])


kind("fr_cni", "GOVERNMENT_ID")(
    lambda r: r.choice(
        [
            f"{r.randint(9, 20):02d}{r.randint(1, 12):02d}{r.choice(['75', '69', '13'])}{dg(r, 6)}",
            "D" + s(r, "2345679CFGHJKLMNPRTVWXYZ", 2) + s(r, "2345679CFGHJKLMNPRTVWXYZ", 6),
        ]
    )
)
kind("fr_passport", "GOVERNMENT_ID")(lambda r: f"{dg(r, 2)}{s(r, 'ABCDEFHIKPRTV', 2)}{dg(r, 5)}")


@kind("de_taxid", "GOVERNMENT_ID")
def de_taxid(r: R) -> str:
    while True:
        ds = r.sample(D, 9)
        ds.append(r.choice(ds))
        r.shuffle(ds)
        t = "".join(ds)
        if t[0] != "0":
            break
    t += mod_11_10_digit(t)
    return r.choice([t, grp(t, 2, 3, 3, 3), grp(t, 2, 3, 3, 3)])


def _icao(t: str) -> str:
    return str(sum(int(c, 36) * (7, 3, 1)[i % 3] for i, c in enumerate(t)) % 10)


DEA = "0123456789CFGHJKLMNPRTVWXYZ"


@kind("de_idcard", "GOVERNMENT_ID")
def de_idcard(r: R) -> str:
    t = r.choice("LMNPRTVWXY") + s(r, DEA, 8)
    return r.choice([t, t, t + _icao(t)])


@kind("de_passport", "GOVERNMENT_ID")
def de_passport(r: R) -> str:
    return "C" + s(r, DEA, 8)


@kind("de_svnr", "GOVERNMENT_ID")
def de_svnr(r: R) -> str:
    t = f"{r.choice([12, 13, 15, 25, 50, 53, 65])}{r.randint(1, 28):02d}{r.randint(1, 12):02d}{r.randint(55, 99)}"
    l = r.choice("ABCDEFGHIKLMNPRSTVWZ")
    t2 = f"{r.randint(0, 99):02d}"
    full = t + f"{ord(l) - 64:02d}" + t2
    k = 0
    for c, w in zip(full, [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1], strict=False):
        p = int(c) * w
        k += p // 10 + p % 10
    k %= 10
    return r.choice([f"{t}{l}{t2}{k}", f"{t[:2]} {t[2:]} {l} {t2}{k}"])


@kind("es_dni", "GOVERNMENT_ID")
def es_dni(r: R) -> str:
    t = nz(r, 8)
    l = "TRWAGMYFPDXBNJZSQVHLCKE"[int(t) % 23]
    return r.choice([t + l, t + l, t + "-" + l, f"{t[:2]}.{t[2:5]}.{t[5:]}-{l}", t + l.lower()])


@kind("es_nie", "GOVERNMENT_ID")
def es_nie(r: R) -> str:
    p = r.choice("XYZ")
    t = dg(r, 7)
    l = "TRWAGMYFPDXBNJZSQVHLCKE"[int(str("XYZ".index(p)) + t) % 23]
    return r.choice([p + t + l, p + t + l, f"{p}-{t}-{l}"])


@kind("it_cf", "GOVERNMENT_ID")
def it_cf(r: R) -> str:
    t = r.choice("RSS BNC FRR CLM RCC MRN GRC CNT GLL SPS".split()) + r.choice(
        "MRC GLI LCU FNC NDR CHR MTT PLA LSE DVD".split()
    )
    t += f"{r.randint(55, 99)}{r.choice('ABCDEHLMPRST')}{r.choice([0, 40]) + r.randint(1, 28):02d}{r.choice(['H501', 'F205', 'L219', 'F839', 'A944', 'D612', 'G273', 'Z129'])}"
    t += cf_letter(t)
    return r.choice([t, t, t, t.lower(), grp(t, 3, 3, 5, 5)])


@kind("in_aadhaar", "GOVERNMENT_ID")
def in_aadhaar(r: R) -> str:
    t = r.choice("23456789") + dg(r, 10)
    t += verhoeff_digit(t)
    return r.choice([every(t, 4), every(t, 4), t, every(t, 4, "-")])


kind("in_pan", "GOVERNMENT_ID")(lambda r: s(r, AZ, 3) + "P" + s(r, AZ, 1) + nz(r, 4) + s(r, AZ, 1))
kind("in_passport", "GOVERNMENT_ID")(lambda r: r.choice("JKLMNPRSTUVWZ") + nz(r, 7))


@kind("nl_bsn", "GOVERNMENT_ID")
def nl_bsn(r: R) -> str:
    while True:
        t = nz(r, 8)
        k = sum((9 - i) * int(c) for i, c in enumerate(t)) % 11
        if k < 10:
            t += str(k)
            return r.choice([t, t, grp(t, 4, 2, 3, sep="."), grp(t, 3, 3, 3)])


@kind("be_nrn", "GOVERNMENT_ID")
def be_nrn(r: R) -> str:
    t = f"{r.randint(55, 99)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}{r.randint(1, 997):03d}"
    k = f"{97 - int(t) % 97:02d}"
    return r.choice([f"{t[:2]}.{t[2:4]}.{t[4:6]}-{t[6:]}.{k}", t + k])


@kind("pt_nif", "GOVERNMENT_ID")
def pt_nif(r: R) -> str:
    t = r.choice("12") + dg(r, 7)
    k = 11 - sum((9 - i) * int(c) for i, c in enumerate(t)) % 11
    t += str(k if k < 10 else 0)
    return r.choice([t, grp(t, 3, 3, 3)])


@kind("br_cpf", "GOVERNMENT_ID")
def br_cpf(r: R) -> str:
    t = dg(r, 9)
    for n in (10, 11):
        k = 11 - sum((n - i) * int(c) for i, c in enumerate(t)) % 11
        t += str(k if k < 10 else 0)
    return r.choice([f"{t[:3]}.{t[3:6]}.{t[6:9]}-{t[9:]}"] * 3 + [t])


@kind("ch_ahv", "GOVERNMENT_ID")
def ch_ahv(r: R) -> str:
    t = "756" + dg(r, 9)
    k = -sum(int(c) * (1, 3)[i % 2] for i, c in enumerate(t)) % 10
    t += str(k)
    return r.choice([grp(t, 3, 4, 4, 2, sep="."), grp(t, 3, 4, 4, 2, sep="."), t])


@kind("pl_pesel", "GOVERNMENT_ID")
def pl_pesel(r: R) -> str:
    t = f"{r.randint(55, 99)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}{dg(r, 4)}"
    return t + str(-sum(int(c) * w for c, w in zip(t, [1, 3, 7, 9] * 3, strict=False)) % 10)


# ---------------------------------------------------------------- network
@kind("ip_priv", "IP_ADDRESS")
def ip_priv(r: R) -> str:
    return r.choice(
        [
            f"192.168.{r.choice([0, 1, 1, 2, 10, 20, 178, 100])}.{r.randint(2, 254)}",
            f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}",
            f"10.0.{r.randint(0, 30)}.{r.randint(1, 254)}",
            f"172.{r.randint(16, 31)}.{r.randint(0, 40)}.{r.randint(1, 254)}",
        ]
    )


@kind("ip_pub", "IP_ADDRESS")
def ip_pub(r: R) -> str:
    a = r.choice(
        [
            3,
            13,
            18,
            34,
            45,
            51,
            52,
            62,
            77,
            78,
            80,
            82,
            85,
            91,
            94,
            104,
            109,
            138,
            142,
            159,
            165,
            176,
            178,
            185,
            188,
            193,
            194,
            203,
            212,
            217,
        ]
    )
    return f"{a}.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}"


@kind("ip6", "IP_ADDRESS")
def ip6(r: R) -> str:
    def h():
        return f"{r.randrange(1, 65536):x}"

    p = r.choice(["2a01", "2001", "2a02", "2600", "2003"])
    return r.choice(
        [
            f"{p}:{h()}:{h()}:{h()}:{h()}:{h()}:{h()}:{h()}",
            f"{p}:{h()}:{h()}:{h()}::1",
            f"{p}:{h()}:{h()}::{h()}",
            f"fe80::{h()}:{h()}ff:fe{s(r, HEX, 2)}:{h()}",
        ]
    )


@kind("mac", "MAC_ADDRESS")
def mac(r: R) -> str:
    t = r.choice(["001a2b", "3c5282", "b827eb", "f4f5e8", "0050b6", "a4bb6d", "dca632", "70b3d5", "e8d8d1"]) + s(
        r, HEX, 6
    )
    return r.choice(
        [every(t, 2, ":"), every(t, 2, ":").upper(), every(t, 2, "-").upper(), every(t, 2, ":"), every(t, 4, ".")]
    )


# ---------------------------------------------------------------- crypto
B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def b58(b: bytes) -> str:
    n, out = int.from_bytes(b, "big"), ""
    while n:
        n, m = divmod(n, 58)
        out = B58[m] + out
    return "1" * (len(b) - len(b.lstrip(b"\0"))) + out


def b58c(b: bytes) -> str:
    return b58(b + hashlib.sha256(hashlib.sha256(b).digest()).digest()[:4])


def bech32(hrp: str, data: list[int]) -> str:
    cs = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

    def poly(v):
        c = 1
        for x in v:
            t = c >> 25
            c = (c & 0x1FFFFFF) << 5 ^ x
            for i, g in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
                if t >> i & 1:
                    c ^= g
        return c

    e = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    p = poly(e + data + [0] * 6) ^ 1
    return hrp + "1" + "".join(cs[d] for d in data + [p >> 5 * (5 - i) & 31 for i in range(6)])


def bits5(b: bytes) -> list[int]:
    n = "".join(f"{x:08b}" for x in b)
    n += "0" * (-len(n) % 5)
    return [int(n[i : i + 5], 2) for i in range(0, len(n), 5)]


@kind("btc", "CRYPTO")
def btc(r: R) -> str:
    return r.choice(
        [
            lambda: b58c(b"\0" + rb(r, 20)),
            lambda: b58c(b"\5" + rb(r, 20)),
            lambda: bech32("bc", [0, *bits5(rb(r, 20))]),
            lambda: bech32("bc", [0, *bits5(rb(r, 20))]),
        ]
    )()


def keccak256(data: bytes) -> bytes:
    M = (1 << 64) - 1

    def rol(x, n):
        return ((x << n) | (x >> (64 - n))) & M if n else x

    rc, l = [], 1
    for _ in range(24):
        c = 0
        for j in range(7):
            if l & 1:
                c |= 1 << ((1 << j) - 1)
            l = (l << 1) ^ (0x171 if l >> 7 else 0)
        rc.append(c)
    A = [[0] * 5 for _ in range(5)]
    p = bytearray(data) + b"\1" + b"\0" * (135 - len(data))
    p[135] ^= 0x80
    for i in range(17):
        A[i % 5][i // 5] ^= int.from_bytes(p[8 * i : 8 * i + 8], "little")
    for k in range(24):
        C = [A[x][0] ^ A[x][1] ^ A[x][2] ^ A[x][3] ^ A[x][4] for x in range(5)]
        for x in range(5):
            d = C[(x - 1) % 5] ^ rol(C[(x + 1) % 5], 1)
            for y in range(5):
                A[x][y] ^= d
        x, y, cur = 1, 0, A[1][0]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            cur, A[x][y] = A[x][y], rol(cur, (t + 1) * (t + 2) // 2 % 64)
        for y in range(5):
            T = [A[x][y] for x in range(5)]
            for x in range(5):
                A[x][y] = T[x] ^ (~T[(x + 1) % 5] & M & T[(x + 2) % 5])
        A[0][0] ^= rc[k]
    return b"".join(A[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


@kind("eth", "CRYPTO")
def eth(r: R) -> str:
    a = s(r, HEX, 40)
    if r.random() < 0.3:
        return "0x" + a
    h = keccak256(a.encode()).hex()
    return "0x" + "".join(c.upper() if int(h[i], 16) > 7 else c for i, c in enumerate(a))


kind("tron", "CRYPTO")(lambda r: b58c(b"\x41" + rb(r, 20)))
kind("sol", "CRYPTO")(lambda r: b58(rb(r, 32)))


# ---------------------------------------------------------------- issued secrets
I = "SECRET_ISSUED"


def crc62(body: str) -> str:
    n, out = zlib.crc32(body.encode()), ""
    a = D + AZ + az
    for _ in range(6):
        n, m = divmod(n, 62)
        out = a[m] + out
    return out


def gh(r: R, prefix: str = "ghp_") -> str:
    b = s(r, AN, 30)
    return prefix + b + crc62(b)


kind("openai", I)(
    lambda r: r.choice(
        [
            lambda: "sk-proj-" + s(r, B64U, 74) + "T3BlbkFJ" + s(r, B64U, 74),
            lambda: "sk-" + s(r, AN, 20) + "T3BlbkFJ" + s(r, AN, 20),
        ]
    )()
)
kind("anthropic", I)(lambda r: "sk-ant-api03-" + s(r, B64U, 93) + "AA")
kind("aws_id", I)(lambda r: "AKIA" + s(r, AZ + "234567", 16))
kind("aws_tmp_id", I)(lambda r: "ASIA" + s(r, AZ + "234567", 16))
kind("aws_secret", I)(lambda r: s(r, B64, 40))
kind("aws_session", I)(lambda r: "IQoJb3JpZ2luX2Vj" + s(r, B64, 240) + "==")
kind("gh_pat", I)(lambda r: gh(r, r.choice(["ghp_", "ghp_", "gho_", "ghs_"])))
kind("gh_fine", I)(lambda r: "github_pat_11" + s(r, AZ + D, 20) + "_" + s(r, AN, 59))
kind("gitlab_pat", I)(lambda r: "glpat-" + s(r, B64U, 20))
kind("gitlab_runner", I)(lambda r: r.choice(["glrt-", "GR1348941"]) + s(r, B64U, 20))
kind("slack_bot", I)(lambda r: f"xoxb-{nz(r, 12)}-{nz(r, 13)}-{s(r, AN, 24)}")
kind("slack_hook", I)(
    lambda r: f"https://hooks.slack.com/services/T{s(r, AZ + D, 10)}/B{s(r, AZ + D, 10)}/{s(r, AN, 24)}"
)
kind("teams_hook", I)(lambda r: s(r, B64U, 43))
kind("discord_hook", I)(lambda r: f"https://discord.com/api/webhooks/1{dg(r, 18)}/{s(r, B64U, 68)}")
kind("discord_bot", I)(lambda r: f"{b64u(('1' + dg(r, 18)).encode())}.{s(r, B64U, 6)}.{s(r, B64U, 38)}")
kind("telegram_bot", I)(lambda r: f"{nz(r, 10)}:AA{s(r, B64U, 33)}")
kind("stripe_sk", I)(lambda r: r.choice(["sk_live_51", "sk_test_51", "rk_live_51"]) + s(r, AN, 97))
kind("stripe_whsec", I)(lambda r: "whsec_" + s(r, AN, 32))
kind("google_api", I)(lambda r: "AIzaSy" + s(r, B64U, 33))
kind("google_oauth_secret", I)(lambda r: "GOCSPX-" + s(r, B64U, 28))
kind("sendgrid", I)(lambda r: f"SG.{s(r, B64U, 22)}.{s(r, B64U, 43)}")
kind("twilio_auth", I)(lambda r: s(r, HEX, 32))
kind("mailgun", I)(lambda r: f"{s(r, HEX, 32)}-{s(r, HEX, 8)}-{s(r, HEX, 8)}")
kind("npm", I)(lambda r: gh(r, "npm_"))
kind("pypi", I)(lambda r: "pypi-AgEIcHlwaS5vcmc" + s(r, B64U, 150))
kind("hf", I)(lambda r: "hf_" + s(r, string.ascii_letters, 34))
kind("azure_key", I)(lambda r: b64(rb(r, 64)))
kind("azure_sas", I)(lambda r: b64(rb(r, 32)).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"))
kind("azure_client_secret", I)(lambda r: f"{s(r, AN, 3)}8Q~{s(r, AN + '-_~.', 34)}")
kind("azure_openai", I)(lambda r: r.choice([s(r, HEX, 32), s(r, AN, 52) + "JQQJ99B" + s(r, AZ + D, 25)]))
kind("do_token", I)(lambda r: "dop_v1_" + s(r, HEX, 64))
kind("cloudflare", I)(lambda r: s(r, B64U, 40))
kind("grafana", I)(lambda r: f"glsa_{s(r, AN, 32)}_{s(r, HEX, 8)}")
kind("vault", I)(lambda r: "hvs." + s(r, B64U, 24 if r.random() < 0.4 else 90))
kind("notion", I)(lambda r: r.choice(["ntn_" + dg(r, 11) + s(r, AN, 35), "secret_" + s(r, AN, 43)]))
kind("shopify", I)(lambda r: "shpat_" + s(r, HEX, 32))
kind("hubspot", I)(lambda r: f"pat-{r.choice(['eu1', 'na1'])}-{uuid(r)}")
kind("groq", I)(lambda r: "gsk_" + s(r, AN, 52))
kind("openrouter", I)(lambda r: "sk-or-v1-" + s(r, HEX, 64))
kind("deepseek", I)(lambda r: "sk-" + s(r, HEX, 32))
kind("mistral", I)(lambda r: s(r, AN, 32))
kind("hex32", I)(lambda r: s(r, HEX, 32))
kind("hex40", I)(lambda r: s(r, HEX, 40))
kind("hex64", I)(lambda r: s(r, HEX, 64))
kind("alnum_key", I)(lambda r: s(r, AN, r.choice([24, 32, 40, 48])))
kind("b64_key", I)(lambda r: b64(rb(r, r.choice([24, 32, 48]))))
kind("uuid_key", I)(lambda r: uuid(r))  # noqa: PLW0108 - defined below
kind("django", I)(lambda r: r.choice(["django-insecure-", ""]) + s(r, az + D + "!@#$%^&*(-_=+)", 50))
kind("laravel", I)(lambda r: "base64:" + b64(rb(r, 32)))
kind("datadog", I)(lambda r: s(r, HEX, 32))
kind("wireguard", I)(lambda r: b64(rb(r, 32)))
kind("totp", I)(
    lambda r: r.choice([s(r, AZ + "234567", 32), s(r, AZ + "234567", 16), every(s(r, az + "234567", 32), 4)])
)
kind("sentry_dsn", I)(lambda r: f"https://{s(r, HEX, 32)}@o{nz(r, 6)}.ingest.sentry.io/{nz(r, 7)}")
kind("bearer", I)(lambda r: r.choice([s(r, AN, 40), s(r, B64U, 64), s(r, HEX, 40), "ya29.a0A" + s(r, B64U, 160)]))
kind("phpsess", I)(lambda r: s(r, az[:22] + D, 26))
kind("connect_sid", I)(lambda r: f"s%3A{s(r, B64U, 32)}.{s(r, AN, 40)}%2B{s(r, AN, 2)}")
kind("jsession", I)(lambda r: s(r, "0123456789ABCDEF", 32))
kind("dj_session", I)(lambda r: s(r, az + D, 32))
kind("reset_token", I)(lambda r: r.choice([s(r, B64U, 43), s(r, HEX, 40), s(r, AN, 32)]))


def uuid(r: R) -> str:
    t = s(r, HEX, 32)
    return f"{t[:8]}-{t[8:12]}-4{t[13:16]}-{r.choice('89ab')}{t[17:20]}-{t[20:]}"


def _jwt(r: R, big: bool = False) -> str:
    alg = r.choice(["HS256", "HS256", "RS256"])
    h = {"alg": alg, "typ": "JWT"}
    if big:
        h["kid"] = s(r, AN, 12)
    iat = r.randint(1700000000, 1760000000)
    p = {"sub": r.choice([dg(r, 6), uuid(r)]), "iat": iat, "exp": iat + 3600}
    if big:
        p |= {"iss": "https://auth.corp.local", "aud": "api", "roles": ["user", "editor"], "scope": "openid profile"}

    def j(o):
        return b64u(json.dumps(o, separators=(",", ":")).encode())

    return f"{j(h)}.{j(p)}.{b64u(rb(r, 32 if alg == 'HS256' else 256))}"


kind("jwt", I)(lambda r: _jwt(r, r.random() < 0.4))


@kind("basic_b64", I)
def basic_b64(r: R) -> str:
    return b64(f"{r.choice(['admin', 'api', 'svc_export', 'reporting', 'jenkins'])}:{pw(r, 'en')}".encode())


def pem(label: str, body: str) -> str:
    return f"-----BEGIN {label}-----\n" + every(body, 64, "\n") + f"\n-----END {label}-----"


@kind("pem_rsa", I)
def pem_rsa(r: R) -> str:
    if r.random() < 0.5:
        return pem("RSA PRIVATE KEY", b64(b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01\x00" + rb(r, 1180)))
    return pem(
        "PRIVATE KEY", b64(bytes.fromhex("308204be020100300d06092a864886f70d0101010500048204a8308204a4") + rb(r, 1184))
    )


@kind("pem_ec", I)
def pem_ec(r: R) -> str:
    return pem(
        "EC PRIVATE KEY",
        b64(
            bytes.fromhex("30770201010420")
            + rb(r, 32)
            + bytes.fromhex("a00a06082a8648ce3d030107a14403420004")
            + rb(r, 64)
        ),
    )


@kind("pem_openssh", I)
def pem_openssh(r: R) -> str:
    def st(b):
        return struct.pack(">I", len(b)) + b

    pk, ck = rb(r, 32), rb(r, 4)
    pub = st(b"ssh-ed25519") + st(pk)
    priv = ck + ck + st(b"ssh-ed25519") + st(pk) + st(rb(r, 32) + pk) + st(b"deploy@build01")
    priv += bytes(range(1, 1 + (-len(priv) % 8)))
    blob = b"openssh-key-v1\0" + st(b"none") + st(b"none") + st(b"") + struct.pack(">I", 1) + st(pub) + st(priv)
    t = b64(blob)
    return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + every(t, 70, "\n") + "\n-----END OPENSSH PRIVATE KEY-----"


@kind("pem_json", I)
def pem_json(r: R) -> str:
    """Private key as one line in JSON, with \\n escapes (service account)."""
    return (
        pem(
            "PRIVATE KEY",
            b64(bytes.fromhex("308204be020100300d06092a864886f70d0101010500048204a8308204a4") + rb(r, 1184)),
        ).replace("\n", "\\n")
        + "\\n"
    )


kind("bcrypt", I)(lambda r: f"${r.choice(['2b', '2y', '2a'])}${r.choice(['10', '12'])}$" + s(r, "./" + AN, 53))
kind("md5hash", I)(lambda r: s(r, HEX, 32))
kind("sha256hash", I)(lambda r: s(r, HEX, 64))
kind("shadow", I)(lambda r: f"$6${s(r, './' + AN, 16)}${s(r, './' + AN, 86)}")
kind("cisco7", I)(lambda r: f"{r.randint(2, 15):02d}" + s(r, "0123456789ABCDEF", r.choice([14, 16, 18, 20])))
kind("win_key", I)(lambda r: "-".join(s(r, "BCDFGHJKMPQRTVWXY2346789", 5) for _ in range(5)))


# ---------------------------------------------------------------- chosen secrets
C = "SECRET_CHOSEN"
WORDS = {
    "en": "summer winter monkey dragon london chelsea arsenal buster charlie sunshine coffee pepper falcon tiger guitar rocket harley maggie bailey thunder football orange purple marketing welcome office phoenix eagles molly garfield".split(),
    "fr": "soleil doudou chouchou marseille bretagne loulou minette papillon chocolat bonjour printemps toulouse camille azerty vacances lapin jardin fromage".split(),
    "de": "sommer winter fussball bayern schalke hallo schatz berlin hamburg willkommen passwort katze hund garten urlaub kaffee mausi frankfurt".split(),
    "es": "verano barcelona madrid futbol estrella sevilla mariposa princesa tequiero valencia betis oficina contrasena gatito playa navidad".split(),
    "it": "juventus napoli ciao estate roma amore gattino milano pizza principessa inter vacanza stella andrea ufficio".split(),
    "nl": "welkom zomer ajax feyenoord amsterdam hond fiets utrecht winter kaas schatje voetbal kantoor".split(),
    "pt": "benfica porto verao lisboa brasil sucesso flamengo estrela praia amor bemvindo saudade gatinha".split(),
}
PLAIN = {
    "en": "sunshine letmein liverpool iloveyou qwerty123 starwars princess hunter2 trustno1 superman".split(),
    "fr": "azerty123 doudou loulou motdepasse marseille jetaime".split(),
    "de": "passwort1 schalke04 hallo123 schatzi fussball ficken1234".split()[:5],
    "es": "barcelona tequiero estrella realmadrid 123456abc".split(),
    "it": "juventus amoremio napoli1926 forzainter".split(),
    "nl": "welkom01 feyenoord ajax1900 wachtwoord1".split(),
    "pt": "benfica1904 flamengo brasil123 amorzinho".split(),
}
LEET = str.maketrans({"a": "@", "e": "3", "o": "0", "i": "1", "s": "$"})
LEET2 = str.maketrans({"a": "4", "e": "3", "o": "0", "i": "1", "s": "5"})


def pw(r: R, lang: str, sp: str = "!!!?#@$*._-+") -> str:
    ws = WORDS[lang]
    w = r.choice(ws)
    y = str(r.choice([2019, 2020, 2021, 2022, 2023, 2024, 2024, 2025, 2025]))
    n = r.choice([y, y, str(r.randint(1, 99)), str(r.randint(60, 99)), "123", "1", dg(r, 4), "007", "12", "01"])
    k = r.random()
    if k < 0.28:
        t = w.capitalize() + n + r.choice(sp)
    elif k < 0.42:
        t = w.capitalize() + r.choice(sp) + n
    elif k < 0.55:
        t = r.choice([w, w.capitalize()]) + n
    elif k < 0.68:
        tr = LEET if "@" in sp and "$" in sp else LEET2
        t = w.capitalize().translate(tr) + r.choice([n, n + r.choice(sp), r.choice(sp) + n])
        if not any(c.isdigit() for c in t):
            t += "7"
    elif k < 0.76:
        t = r.choice(ws).capitalize() + r.choice(["-", "_", ".", ""]) + r.choice(ws).capitalize() + n
    elif k < 0.83:
        t = "".join(r.choice([az, AZ, D])[r.randrange(10)] for _ in range(r.choice([8, 9, 10]))) + r.choice(sp)
    elif k < 0.90:
        t = r.choice(sp) + w + n + w[:2].upper()
    elif k < 0.95:
        t = (
            r.choice(["qwe", "asd", "zxc"])
            + r.choice(["ASD", "QWE", "!@#" if "@" in sp and "#" in sp else "RTY"])
            + n
            + r.choice(ws)[:3]
        )
    else:
        t = r.choice(PLAIN[lang])
    return t


for _l in WORDS:
    kind("pw" if _l == "en" else f"pw_{_l}", C)(lambda r, _l=_l: pw(r, _l))

kind("pw_url", C)(lambda r: pw(r, "en", "!!._-*") if r.random() < 0.5 else pw_alnum(r))
kind("pw_safe", C)(lambda r: pw(r, r.choice(["en", "en", "fr", "de"]), "!!._-#+"))


@kind("pw_gen", C)
def pw_gen(r: R) -> str:
    k = r.random()
    if k < 0.35:
        body = [r.choice(az), r.choice(AZ), r.choice(D), r.choice("!@#$%^&*")] + [
            r.choice(AN + "!@#$%^&*-_+=") for _ in range(r.choice([8, 10, 12, 16, 20]))
        ]
        r.shuffle(body)
        if body[0] in "!@#$%^&*-_+=":
            body[0] = r.choice(AN)
        return "".join(body)
    if k < 0.6:
        s(r, "bcdfghjkmnpqrstvwxz", 1)
        parts = [
            "".join(r.choice("bcdfghjkmnpqrstvwxz") + r.choice("aeiouy") + r.choice("bcdfgknprstz") for _ in range(2))
            for _ in range(3)
        ]
        i = r.randrange(3)
        parts[i] = parts[i][:-1] + r.choice(D)
        j = (i + 1) % 3
        parts[j] = parts[j][0].upper() + parts[j][1:]
        return "-".join(parts)
    if k < 0.8:
        return s(r, AN, r.choice([12, 14, 16, 20]))
    return s(r, AZ, 1) + s(r, az, 4) + s(r, D, 3) + r.choice("!#%") + s(r, AN, 5)


@kind("pw_alnum", C)
def pw_alnum(r: R) -> str:
    return r.choice(
        [
            s(r, AN, r.choice([12, 16, 20, 24, 32])),
            s(r, az + D, r.choice([10, 16, 24])),
            s(r, HEX, r.choice([16, 24, 32])),
        ]
    )


@kind("pw_temp", C)
def pw_temp(r: R) -> str:
    return r.choice(
        [
            lambda: s(r, "BCDFGHJKLMNPRSTVWXYZ", 1) + s(r, "aeou", 1) + s(r, "bcdfghjklmnpqrstvwxyz", 1) + dg(r, 5),
            lambda: "Welcome" + str(r.choice([1, 123, 2024, 2025])) + r.choice("!#$"),
            lambda: "Temp" + r.choice(["", "-", "@"]) + dg(r, 4) + r.choice(["!", "", "$"]),
            lambda: s(r, AN.replace("l", "").replace("O", ""), 8),
            lambda: "Start" + dg(r, 4) + "!",
        ]
    )()


@kind("pin4", C)
def pin4(r: R) -> str:
    return dg(r, 4)


kind("pin6", C)(lambda r: dg(r, 6))
kind("otp6", C)(lambda r: r.choice([dg(r, 6), dg(r, 6), dg(r, 6), grp(dg(r, 6), 3, 3), grp(dg(r, 6), 3, 3, sep="-")]))
kind("puk", C)(lambda r: dg(r, 8))
kind("doorcode", C)(
    lambda r: r.choice(
        [dg(r, 4) + "#", dg(r, 5), dg(r, 4) + r.choice("AB"), r.choice("AB") + dg(r, 4), dg(r, 6), "*" + dg(r, 4) + "#"]
    )
)
PW = "correct purple otter candle mountain bicycle river velvet tractor pancake ladder copper window garden silent marble rocket lemon anchor walnut breeze station pepper quilt".split()


@kind("passphrase", C)
def passphrase(r: R) -> str:
    w = r.sample(PW, r.choice([4, 4, 5, 6]))
    return r.choice(
        [" ".join(w), "-".join(w), "-".join(x.capitalize() for x in w) + str(r.randint(1, 99)), " ".join(w[:4])]
    )


kind("passphrase_hyph", C)(lambda r: "-".join(r.sample(PW, 4)) + r.choice(["", "-" + dg(r, 2), "!"]))
kind("passphrase_fr", C)(
    lambda r: (
        r.choice(["le", "mon", "un"])
        + " "
        + r.choice("chat renard tracteur vélo voisin".split())
        + " "
        + r.choice("mange repeint adore oublie".split())
        + " "
        + r.choice(["trois", "dix", "sept"])
        + " "
        + r.choice("citrons bougies parapluies fenêtres".split())
    )
)


@kind("wifi", C)
def wifi(r: R) -> str:
    return r.choice(
        [
            lambda: every(dg(r, 20), 4),
            lambda: dg(r, 20),
            lambda: s(r, AZ + D, 10),
            lambda: (
                r.choice(["Guest", "Gast", "Visitor", "CoffeeTime", "OfficeWifi"])
                + r.choice(["", "-", "@", "!"])
                + str(r.choice([2023, 2024, 2025]))
            ),
            lambda: pw(r, "en"),
            lambda: s(r, az + D, 12),
            lambda: s(r, HEX.upper(), 26),
        ]
    )()


@kind("recovery", C)
def recovery(r: R) -> str:
    return r.choice(
        [
            lambda: f"{s(r, HEX, 5)}-{s(r, HEX, 5)}",
            lambda: f"{s(r, az + D, 4)}-{s(r, az + D, 4)}",
            lambda: grp(dg(r, 8), 4, 4),
            lambda: dg(r, 8),
            lambda: f"{s(r, AZ + D, 5)}-{s(r, AZ + D, 5)}",
        ]
    )()


kind("bitlocker", C)(lambda r: "-".join(f"{r.randrange(0, 65536) * 11:06d}" for _ in range(8)))
SEED = "abandon ability absorb acoustic advice ahead airport album amateur anchor apple arctic artist bamboo basket bench bicycle blanket brave bridge bubble cactus canvas castle cereal cherry clinic cluster cotton cruise dawn denial desert dolphin dragon eagle ecology elbow ember empty engine fabric famous fiscal flame forest galaxy garlic ginger glove harvest hazard hover insect island jacket jungle kidney ladder lemon lizard magnet maple meadow mosquito noble ocean orbit oxygen panther pelican pioneer puzzle quantum rabbit ribbon salmon satoshi shadow sister spatial stadium sunset tackle tiger tornado umbrella vacuum velvet violin walnut wisdom zebra".split()
kind("seed12", C)(lambda r: " ".join(r.sample(SEED, 12)))
kind("sec_answer", C)(
    lambda r: r.choice("Whiskers Biscuit Rosenheim Kowalczyk Fluffy Birchwood Tinkerbell McAllister Figaro".split())
)
kind("recovery8", C)(lambda r: grp(dg(r, 8), 4, 4))
kind("recovery_gh", C)(lambda r: f"{s(r, HEX, 5)}-{s(r, HEX, 5)}")
