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


D = "0123456789"
H = "0123456789abcdef"
U = string.ascii_uppercase
L = string.ascii_lowercase
AN = string.ascii_letters + D
B64 = AN + "+/"
B64U = AN + "-_"


def rs(r, al, n):
    return "".join(r.choice(al) for _ in range(n))


def dg(r, n):
    return rs(r, D, n)


def pat(r, p):  # 9 = digit, 8 = 1..9
    return "".join(r.choice(D) if c == "9" else r.choice("123456789") if c == "8" else c for c in p)


def grp(s, n, sep=" "):
    return sep.join(s[i : i + n] for i in range(0, len(s), n))


def date(r, a=1950, b=2004):
    return r.randint(a, b), r.randint(1, 12), r.randint(1, 28)


# ---------------------------------------------------------------- e-mail
FN = {
    "en": "james emma oliver sarah michael rachel dan priya kevin laura tom grace ben alicia marcus hannah".split(),
    "de": "lukas anna stefan katrin juergen sabine felix miriam holger lena".split(),
    "fr": "julien camille mathieu sophie pierre aurelie nicolas elodie thierry manon".split(),
    "es": "javier lucia carlos marta alejandro pilar sergio carmen ruben ines".split(),
    "it": "marco giulia luca chiara andrea francesca davide silvia matteo elena".split(),
    "nl": "jeroen sanne pieter femke bas maaike wouter lotte daan ilse".split(),
    "pt": "joao mariana tiago beatriz rui catarina rafael fernanda thiago larissa".split(),
}
LN = {
    "en": "carter hughes mitchell patel reynolds doyle whitfield osborne nguyen baxter lawson brennan".split(),
    "de": "schneider hofmann krueger baumann weidner lindner brandt voigt seidel pohl".split(),
    "fr": "lefebvre moreau garnier rousseau chevalier blanchard perrin marchand fontaine giraud".split(),
    "es": "fernandez navarro iglesias romero delgado serrano molina ortega campos vidal".split(),
    "it": "ferrari conti ricci marino galli barbieri fontana moretti caruso leone".split(),
    "nl": "devries bakker jansen mulder visser vandijk hendriks dekker kuipers smeets".split(),
    "pt": "pereira carvalho oliveira santos almeida teixeira ribeiro barbosa nogueira lopes".split(),
}
PD = {
    "en": ["gmail.com"] * 5
    + ["outlook.com", "yahoo.com", "hotmail.co.uk", "icloud.com", "btinternet.com", "proton.me", "aol.com"],
    "de": ["gmx.de", "web.de", "t-online.de", "gmail.com", "gmx.net", "posteo.de", "freenet.de"],
    "fr": ["orange.fr", "free.fr", "gmail.com", "laposte.net", "hotmail.fr", "sfr.fr", "wanadoo.fr"],
    "es": ["gmail.com", "hotmail.es", "yahoo.es", "hotmail.com", "telefonica.net"],
    "it": ["libero.it", "gmail.com", "virgilio.it", "hotmail.it", "tiscali.it", "alice.it"],
    "nl": ["gmail.com", "ziggo.nl", "kpnmail.nl", "hotmail.nl", "xs4all.nl", "outlook.com"],
    "pt": ["gmail.com", "sapo.pt", "uol.com.br", "hotmail.com", "outlook.pt", "bol.com.br"],
}
CD = {
    "en": [
        "northgate-logistics.com",
        "brightwell.co.uk",
        "calderon-partners.com",
        "orbitpay.io",
        "meridianfoods.com",
        "tallgrass.dev",
        "harlowandking.co.uk",
        "vantoro.com",
    ],
    "de": ["hartmann-anlagenbau.de", "nordwerk.de", "kellner-it.com", "praxis-am-markt.de", "bauer-logistik.eu"],
    "fr": ["ateliers-duval.fr", "cabinet-morin.fr", "logiterre.fr", "groupe-serval.com"],
    "es": ["talleresbravo.es", "gestoria-luna.es", "iberplast.com", "clinicadelmar.es"],
    "it": ["officinerossetti.it", "studiobellini.it", "tecnoval.it", "agrimonti.com"],
    "nl": ["vanderlaanbouw.nl", "havenlogistiek.nl", "studiodrift.nl", "dekkerinstallaties.nl"],
    "pt": ["metalosul.pt", "construtoravale.com.br", "lusodata.pt", "clinicavida.com.br"],
}


def lang(r):
    return r.choice(["en"] * 6 + ["de", "fr", "es", "it", "nl", "pt"])


def ep(r, l):
    f, n = r.choice(FN[l]), r.choice(LN[l])
    y = str(r.randint(60, 99))
    s = r.random()
    loc = (
        f + "." + n
        if s < 0.35
        else f + n + y
        if s < 0.5
        else f[0] + n
        if s < 0.6
        else f + "_" + n + str(r.randint(1, 99))
        if s < 0.75
        else n + "." + f
        if s < 0.85
        else f + "-" + n
        if s < 0.9
        else f + y + r.choice(["", "x", "_"])
        if s < 0.95
        else f[0] + "." + n + "." + str(r.randint(1960, 2003))
    )
    return loc.rstrip("_") + "@" + r.choice(PD[l])


def ew(r, l):
    f, n = r.choice(FN[l]), r.choice(LN[l])
    s = r.random()
    e = (
        f + "." + n
        if s < 0.5
        else f[0] + "." + n
        if s < 0.7
        else f[0] + n
        if s < 0.85
        else f
        if s < 0.93
        else f.title() + "." + n.title()
    )
    return e + "@" + r.choice(CD[l])


kind("email", "EMAIL_ADDRESS")(lambda r: ep(r, lang(r)))
kind("email_work", "EMAIL_ADDRESS")(lambda r: ew(r, lang(r)))


def _e(l):
    kind("email_" + l, "EMAIL_ADDRESS")(lambda r: ep(r, l) if r.random() < 0.6 else ew(r, l))


for _l in ["de", "fr", "es", "it", "nl", "pt"]:
    _e(_l)


@kind("email_tag", "EMAIL_ADDRESS")
def _(r):
    l = lang(r)
    a, b = ep(r, l).split("@")
    return a + "+" + r.choice(["shop", "news", "test", "amazon", "dev2", "billing", "qa"]) + "@" + b


# ---------------------------------------------------------------- phones
USA = [
    212,
    310,
    415,
    617,
    713,
    312,
    206,
    404,
    503,
    646,
    718,
    202,
    512,
    602,
    720,
    919,
    813,
    954,
    702,
    614,
    267,
    469,
    832,
    773,
]


@kind("phone_us", "PHONE_NUMBER")
def _(r):
    a = r.choice(USA)
    e = r.choice([x for x in range(220, 990) if x % 100 != 11 and x != 555])
    n = dg(r, 4)
    return r.choice(
        [f"({a}) {e}-{n}"] * 3
        + [f"{a}-{e}-{n}"] * 3
        + [
            f"+1 {a} {e} {n}",
            f"+1-{a}-{e}-{n}",
            f"{a}.{e}.{n}",
            f"{a}{e}{n}",
            f"+1{a}{e}{n}",
            f"1-{a}-{e}-{n}",
            f"{a} {e} {n}",
            f"+1 ({a}) {e}-{n}",
        ]
    )


@kind("phone_uk", "PHONE_NUMBER")
def _(r):
    s = r.random()
    if s < 0.6:
        m = (
            "7"
            + r.choice(
                [
                    "400",
                    "415",
                    "467",
                    "508",
                    "535",
                    "720",
                    "739",
                    "771",
                    "787",
                    "812",
                    "850",
                    "877",
                    "903",
                    "914",
                    "946",
                    "961",
                    "980",
                ]
            )
            + dg(r, 6)
        )
        return r.choice(
            [
                "0" + m[:4] + " " + m[4:],
                "0" + m[:4] + " " + m[4:7] + " " + m[7:],
                "+44 " + m[:4] + " " + m[4:],
                "+44" + m,
                "0" + m,
                "+44 (0)" + m[:4] + " " + m[4:],
            ]
        )
    if s < 0.8:
        a = "20 " + r.choice("378") + dg(r, 3) + " " + dg(r, 4)
    else:
        a = (
            r.choice(["161", "121", "113", "131", "117", "141"])
            + " "
            + r.choice("23456789")
            + dg(r, 2)
            + " "
            + dg(r, 4)
        )
    return r.choice(["0" + a, "+44 " + a, "0" + a.replace(" ", "-"), "0" + a.replace(" ", "")])


@kind("phone_de", "PHONE_NUMBER")
def _(r):
    if r.random() < 0.55:
        p = r.choice(
            [
                "151",
                "152",
                "157",
                "159",
                "160",
                "162",
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
        n = r.choice("23456789") + dg(r, 7 if p[:2] == "15" or p == "176" else 6)
        return r.choice(
            [
                f"0{p} {n}",
                f"0{p}/{n}",
                f"+49 {p} {n}",
                f"0{p}-{n}",
                f"+49{p}{n}",
                f"0049 {p} {n}",
                f"0{p} {n[:4]} {n[4:]}",
                f"0{p}{n}",
            ]
        )
    p = r.choice(["30", "40", "89", "69", "221", "211", "711", "341", "511", "911", "6221", "761"])
    n = r.choice("23456789") + dg(r, r.choice([5, 6, 7]))
    return r.choice(
        [
            f"0{p} {n}",
            f"0{p}/{n}",
            f"+49 {p} {n}",
            f"+49 (0){p} {n}",
            f"(0{p}) {n}",
            f"0{p} {n[:-2]}-{n[-2:]}",
            f"0{p}-{n}",
        ]
    )


@kind("phone_fr", "PHONE_NUMBER")
def _(r):
    p = r.choice(["6"] * 4 + ["7", "1", "2", "3", "4", "5", "9"])
    n = (r.choice("123456789") if p != "7" else r.choice("3456789")) + dg(r, 7)
    g = grp(n[0] + n[1:], 2)
    return r.choice(
        [f"0{p} {g}"] * 3
        + [
            f"+33 {p} {g}",
            f"0{p}{n}",
            f"0{p}.{g.replace(' ', '.')}",
            f"+33{p}{n}",
            f"0{p}-{g.replace(' ', '-')}",
            f"0033 {p} {g}",
        ]
    )


@kind("phone_es", "PHONE_NUMBER")
def _(r):
    p = r.choice(["6", "6", "6", "7", "91", "93", "95", "96"])
    n = (p + r.choice("123456789") + dg(r, 8))[:9]
    if p == "7":
        n = "7" + r.choice("1234") + n[2:]
    return r.choice(
        [
            grp(n, 3),
            n,
            "+34 " + grp(n, 3),
            "+34" + n,
            n[:3] + " " + grp(n[3:], 2),
            "+34 " + n[:3] + " " + grp(n[3:], 2),
            "0034 " + n,
        ]
    )


@kind("phone_it", "PHONE_NUMBER")
def _(r):
    if r.random() < 0.7:
        p = r.choice(
            [
                "320",
                "328",
                "329",
                "331",
                "333",
                "335",
                "338",
                "339",
                "340",
                "345",
                "347",
                "348",
                "349",
                "366",
                "380",
                "388",
                "389",
                "392",
            ]
        )
        n = dg(r, 7)
        return r.choice(
            [f"{p} {n}", f"{p}{n}", f"+39 {p} {n}", f"{p}-{n}", f"+39{p}{n}", f"{p} {n[:3]} {n[3:]}", f"{p}/{n}"]
        )
    p = r.choice(["02", "06", "011", "051", "055", "081", "041"])
    n = r.choice("2345678") + dg(r, 6)
    return r.choice([f"{p} {n}", f"{p}/{n}", f"+39 {p} {n}", f"{p}-{n}"])


@kind("phone_nl", "PHONE_NUMBER")
def _(r):
    if r.random() < 0.7:
        n = r.choice("1234568") + dg(r, 7)
        return r.choice(
            [f"06-{n}", f"06 {n}", f"06{n}", f"+31 6 {n}", f"+316{n}", f"06 {grp(n, 2)}", f"+31 (0)6 {n[:4]} {n[4:]}"]
        )
    p = r.choice(["20", "10", "70", "30", "40"])
    n = r.choice("234567") + dg(r, 6)
    return r.choice([f"0{p}-{n}", f"0{p} {n[:3]} {grp(n[3:], 2)}", f"+31 {p} {n}"])


@kind("phone_be", "PHONE_NUMBER")
def _(r):
    n = r.choice(
        ["470", "472", "475", "477", "478", "479", "483", "485", "486", "489", "492", "495", "497", "498"]
    ) + dg(r, 6)
    a, b = n[:3], n[3:]
    return r.choice(
        [
            f"0{a} {grp(b, 2)}",
            f"0{a}/{grp(b, 2, '.')}",
            f"+32 {a} {grp(b, 2)}",
            f"0{a}{b}",
            f"+32{n}",
            f"0{a} {grp(b, 3)}",
        ]
    )


@kind("phone_pt", "PHONE_NUMBER")
def _(r):
    n = r.choice(["91", "92", "93", "96", "21", "22"]) + r.choice("1234568") + dg(r, 6)
    return r.choice([grp(n, 3), n, "+351 " + grp(n, 3), "+351" + n, "00351 " + n])


@kind("phone_br", "PHONE_NUMBER")
def _(r):
    a = r.choice("11 21 31 41 51 61 71 81 85 19 48 27 62".split())
    n = "9" + r.choice("6789") + dg(r, 3)
    m = dg(r, 4)
    return r.choice(
        [f"({a}) {n}-{m}"] * 3
        + [
            f"{a} {n}-{m}",
            f"+55 {a} {n}-{m}",
            f"{a}{n}{m}",
            f"+55{a}{n}{m}",
            f"({a}) {n[0]} {n[1:]}-{m}",
            f"+55 ({a}) {n}-{m}",
        ]
    )


@kind("phone_ch", "PHONE_NUMBER")
def _(r):
    p = r.choice(["76", "77", "78", "79", "79", "44", "31", "61", "22"])
    n = r.choice("23456789") + dg(r, 6)
    g = n[:3] + " " + n[3:5] + " " + n[5:]
    return r.choice([f"0{p} {g}", f"+41 {p} {g}", f"0{p}{n}", f"+41{p}{n}", f"0{p}/{g}"])


@kind("phone_at", "PHONE_NUMBER")
def _(r):
    p = r.choice(["664", "660", "676", "699", "650", "680"])
    n = r.choice("12345678") + dg(r, 6)
    return r.choice([f"0{p} {n}", f"0{p}/{n[:3]} {n[3:5]} {n[5:]}", f"+43 {p} {n}", f"+43{p}{n}"])


@kind("phone_in", "PHONE_NUMBER")
def _(r):
    n = r.choice(["98", "99", "97", "96", "94", "90", "88", "87", "81", "79", "70", "63"]) + dg(r, 8)
    return r.choice([f"+91 {n[:5]} {n[5:]}", f"+91-{n}", n, f"{n[:5]} {n[5:]}", f"+91{n}", f"0{n}"])


@kind("phone_intl", "PHONE_NUMBER")
def _(r):
    return r.choice(
        [
            lambda: f"+48 {r.choice(['501', '602', '660', '788', '531'])} {dg(r, 3)} {dg(r, 3)}",
            lambda: f"+46 7{r.choice('0236')} {dg(r, 3)} {dg(r, 2)} {dg(r, 2)}",
            lambda: f"+353 8{r.choice('3567')} {r.choice('123456789')}{dg(r, 2)} {dg(r, 4)}",
            lambda: f"+61 4{r.choice('0123')}{dg(r, 1)} {dg(r, 3)} {dg(r, 3)}",
            lambda: f"+971 5{r.choice('0245')} {r.choice('23456789')}{dg(r, 2)} {dg(r, 4)}",
            lambda: f"+65 {r.choice('89')}{r.choice('12345678')}{dg(r, 2)} {dg(r, 4)}",
            lambda: f"+81 {r.choice(['80', '90'])}-{r.choice('123456789')}{dg(r, 3)}-{dg(r, 4)}",
            lambda: f"+45 {r.choice(['20', '22', '28', '40', '51', '60'])} {dg(r, 2)} {dg(r, 2)} {dg(r, 2)}",
            lambda: f"+52 55 {r.choice('12345678')}{dg(r, 3)} {dg(r, 4)}",
            lambda: f"+90 53{r.choice('0234567')} {r.choice('123456789')}{dg(r, 2)} {dg(r, 2)} {dg(r, 2)}",
            lambda: f"+47 9{r.choice('0125678')}{dg(r, 1)} {dg(r, 2)} {dg(r, 3)}",
            lambda: f"+352 6{r.choice(['21', '61', '91'])} {dg(r, 3)} {dg(r, 3)}",
        ]
    )()


# ---------------------------------------------------------------- IP / MAC
@kind("ipv4", "IP_ADDRESS")
def _(r):
    while 1:
        a = r.randint(2, 222)
        if a not in (10, 100, 127, 169, 172, 192, 198, 203):
            return f"{a}.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}"
    return None


@kind("ipv4_priv", "IP_ADDRESS")
def _(r):
    return r.choice(
        [
            f"192.168.{r.choice([0, 1, 2, 10, 20, 178, 188])}.{r.randint(2, 254)}",
            f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}",
            f"172.{r.randint(16, 31)}.{r.randint(0, 255)}.{r.randint(1, 254)}",
        ]
    )


@kind("ipv6", "IP_ADDRESS")
def _(r):
    p = r.choice(["2a02:8108", "2003:e1", "2001:41d0", "2a01:4f8", "2600:1700", "2a00:23c7", "2a01:e0a", "2804:14d"])

    def q():
        return format(r.randint(1, 65535), "x")

    return r.choice(
        [
            lambda: p + ":" + ":".join(q() for _ in range(6)),
            lambda: p + ":" + q() + ":" + q() + "::" + format(r.randint(1, 999), "x"),
            lambda: "fe80::" + ":".join(q() for _ in range(4)),
            lambda: p + ":" + ":".join(q() for _ in range(6)),
        ]
    )()


OUI = [
    "3c22fb",
    "f4f5d8",
    "b827eb",
    "dca632",
    "001a2b",
    "00155d",
    "a4c3f0",
    "e8d8d1",
    "7c10c9",
    "505bc2",
    "c8d719",
    "94e6f7",
    "d83add",
    "9c8e99",
]


def _m(r):
    return r.choice(OUI) + rs(r, H, 6)


@kind("mac", "MAC_ADDRESS")
def _(r):
    m = grp(_m(r), 2, ":")
    return m.upper() if r.random() < 0.45 else m


@kind("mac_dash", "MAC_ADDRESS")
def _(r):
    return grp(_m(r), 2, "-").upper()


@kind("mac_plain", "MAC_ADDRESS")
def _(r):
    m = _m(r)
    return grp(m, 4, ".") if r.random() < 0.65 else m.upper()


# ---------------------------------------------------------------- bank
@kind("us_acct", "BANK_ACCOUNT")
def _(r):
    return pat(r, r.choice(["8999999999", "89999999", "899999999999", "899999999", "0099999999"]))


@kind("us_routing", "BANK_ACCOUNT")
def _(r):
    p = r.choice(["021", "026", "031", "051", "061", "071", "111", "121", "122", "322", "125", "053"]) + dg(r, 5)
    s = sum(int(c) * w for c, w in zip(p, [3, 7, 1, 3, 7, 1, 3, 7], strict=False))
    return p + str(-s % 10)


@kind("uk_acct", "BANK_ACCOUNT")
def _(r):
    s = r.choice(["20", "40", "60", "30", "09", "77", "04", "23", "11"]) + "-" + dg(r, 2) + "-" + dg(r, 2)
    a = dg(r, 8)
    return r.choice([s + " " + a, a, a, s + " / " + a])


@kind("in_acct", "BANK_ACCOUNT")
def _(r):
    return r.choice(
        [
            pat(r, "5010089999999 9".replace(" ", "")),
            pat(r, "389999999999")[:11],
            pat(r, "6289999999" + "99"),
            pat(r, "91901008" + "9999999"),
        ]
    )


@kind("de_konto", "BANK_ACCOUNT")
def _(r):
    n = pat(r, r.choice(["8999999", "899999999", "8999999999", "89999999"]))
    return n if r.random() < 0.7 else grp(n[::-1], 3)[::-1]


@kind("br_conta", "BANK_ACCOUNT")
def _(r):
    return r.choice([pat(r, "89999-9"), pat(r, "8999999-9"), pat(r, "8.999-9"), pat(r, "089999-9")])


@kind("es_ccc", "BANK_ACCOUNT")
def _(r):
    b, o, a, dc = _ccc(r)
    return r.choice([f"{b} {o} {dc} {a}", f"{b}-{o}-{dc}-{a}", b + o + dc + a])


def _ccc(r):
    b = r.choice(["2100", "0049", "0182", "2038", "0081", "2085"])
    o = dg(r, 4)
    a = dg(r, 10)
    W = [1, 2, 4, 8, 5, 10, 9, 7, 3, 6]

    def c(s):
        x = 11 - sum(int(d) * w for d, w in zip(s, W, strict=False)) % 11
        return str({11: 0, 10: 1}.get(x, x))

    return b, o, a, c("00" + b + o) + c(a)


# ---------------------------------------------------------------- IBAN
def _iban(r, cc, b):
    n = int("".join(str(int(c, 36)) for c in b + cc + "00"))
    s = cc + "%02d" % (98 - n % 97) + b
    x = r.random()
    return grp(s, 4) if x < 0.6 else s if x < 0.95 else grp(s, 4).lower()


@kind("iban_de", "IBAN_CODE")
def _(r):
    return _iban(
        r,
        "DE",
        r.choice(["37040044", "10050000", "70050000", "50010517", "20041133", "60050101", "12030000", "43060967"])
        + dg(r, 10),
    )


@kind("iban_fr", "IBAN_CODE")
def _(r):
    b = r.choice(["30004", "20041", "30002", "30003", "10278", "18206", "14445"]) + dg(r, 5) + dg(r, 11)
    return _iban(r, "FR", b + "%02d" % (97 - int(b) * 100 % 97))


@kind("iban_es", "IBAN_CODE")
def _(r):
    b, o, a, dc = _ccc(r)
    return _iban(r, "ES", b + o + dc + a)


@kind("iban_it", "IBAN_CODE")
def _(r):
    b = (
        r.choice(["05428", "02008", "03069", "03002", "05034", "07601"])
        + r.choice(["01600", "11101", "03200", "02800", "01030"])
        + "0" * 6
        + dg(r, 6)
    )
    odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
    s = sum(odd[int(c)] if i % 2 == 0 else int(c) for i, c in enumerate(b))
    return _iban(r, "IT", U[s % 26] + b)


@kind("iban_nl", "IBAN_CODE")
def _(r):
    while 1:
        a = "0" + pat(r, "899999999")
        if sum(int(c) * w for c, w in zip(a, range(10, 0, -1), strict=False)) % 11 == 0:
            return _iban(r, "NL", r.choice(["INGB", "ABNA", "RABO", "SNSB", "BUNQ", "TRIO", "KNAB"]) + a)
    return None


@kind("iban_be", "IBAN_CODE")
def _(r):
    b = r.choice(["001", "734", "063", "363", "979"]) + dg(r, 7)
    return _iban(r, "BE", b + "%02d" % (int(b) % 97 or 97))


@kind("iban_pt", "IBAN_CODE")
def _(r):
    b = r.choice(["0035", "0033", "0010", "0007", "0018"]) + dg(r, 4) + dg(r, 11)
    return _iban(r, "PT", b + "%02d" % (98 - int(b) * 100 % 97))


@kind("iban_gb", "IBAN_CODE")
def _(r):
    return _iban(r, "GB", r.choice(["NWBK", "BARC", "HBUK", "LOYD", "REVO", "MIDL"]) + dg(r, 14))


@kind("iban_ch", "IBAN_CODE")
def _(r):
    return _iban(r, "CH", r.choice(["00762", "09000", "00700", "08390", "80808"]) + dg(r, 12))


@kind("iban_at", "IBAN_CODE")
def _(r):
    return _iban(r, "AT", r.choice(["20111", "12000", "32000", "19043", "60000"]) + dg(r, 11))


@kind("iban_other", "IBAN_CODE")
def _(r):
    return r.choice(
        [
            lambda: _iban(r, "IE", r.choice(["AIBK", "BOFI"]) + "93" + dg(r, 12)),
            lambda: _iban(r, "LU", "001" + dg(r, 13)),
            lambda: _iban(r, "LT", "32500" + dg(r, 11)),
            lambda: _pl(r),
        ]
    )()


def _pl(r):
    b = r.choice(["1020", "1140", "1050", "1160", "1240"]) + dg(r, 3)
    return _iban(
        r, "PL", b + str(-sum(int(c) * w for c, w in zip(b, [3, 9, 7, 1, 3, 9, 7], strict=False)) % 10) + dg(r, 16)
    )


# ---------------------------------------------------------------- cards
def luhn(s):
    t = 0
    for i, c in enumerate(reversed(s)):
        x = int(c)
        if i % 2 == 0:
            x = x * 2 - 9 * (x > 4)
        t += x
    return s + str(-t % 10)


def _cf(r, s):
    x = r.random()
    return grp(s, 4) if x < 0.5 else s if x < 0.8 else grp(s, 4, "-")


@kind("card_visa", "CREDIT_CARD")
def _(r):
    return _cf(r, luhn("4" + r.choice(["147", "539", "024", "929", "462", "751", "266", "988", "111"]) + dg(r, 11)))


@kind("card_mc", "CREDIT_CARD")
def _(r):
    return _cf(r, luhn(r.choice(["5168", "5412", "5355", "5105", "5573", "2221", "2720", "5209"]) + dg(r, 11)))


@kind("card_amex", "CREDIT_CARD")
def _(r):
    s = luhn(r.choice(["3714", "3782", "3767", "3400"]) + dg(r, 10))
    return s if r.random() < 0.3 else s[:4] + " " + s[4:10] + " " + s[10:]


# ---------------------------------------------------------------- crypto
def b58(b):
    A = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    n = int.from_bytes(b, "big")
    s = ""
    while n:
        n, m = divmod(n, 58)
        s = A[m] + s
    return "1" * (len(b) - len(b.lstrip(b"\0"))) + s


def rb(r, n):
    return bytes(r.getrandbits(8) for _ in range(n))


def b58c(b):
    return b58(b + hashlib.sha256(hashlib.sha256(b).digest()).digest()[:4])


def bech(hrp, ver, prog):
    C = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    acc = bits = 0
    d = [ver]
    for x in prog:
        acc = acc << 8 | x
        bits += 8
        while bits >= 5:
            bits -= 5
            d.append(acc >> bits & 31)
    if bits:
        d.append(acc << (5 - bits) & 31)

    def pm(v):
        c = 1
        for x in v:
            b = c >> 25
            c = (c & 0x1FFFFFF) << 5 ^ x
            for i, g in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
                c ^= g if b >> i & 1 else 0
        return c

    e = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    p = pm(e + d + [0] * 6) ^ (1 if ver == 0 else 0x2BC830A3)
    return hrp + "1" + "".join(C[x] for x in d + [p >> 5 * (5 - i) & 31 for i in range(6)])


def keccak256(data):
    R = 1

    def rc():
        nonlocal R
        v = 0
        for j in range(7):
            R = ((R << 1) ^ ((R >> 7) * 0x71)) % 256
            if R & 2:
                v ^= 1 << ((1 << j) - 1)
        return v

    M = (1 << 64) - 1
    rot = lambda a, n: ((a >> (64 - n % 64)) + (a << (n % 64))) & M if n % 64 else a
    A = [[0] * 5 for _ in range(5)]
    rate = 136
    p = bytearray(data)
    p.append(1)
    p += b"\0" * (-len(p) % rate)
    p[-1] |= 0x80
    for o in range(0, len(p), rate):
        for i in range(rate // 8):
            A[i % 5][i // 5] ^= int.from_bytes(p[o + 8 * i : o + 8 * i + 8], "little")
        R = 1
        for _ in range(24):
            C = [A[x][0] ^ A[x][1] ^ A[x][2] ^ A[x][3] ^ A[x][4] for x in range(5)]
            Dd = [C[(x - 1) % 5] ^ rot(C[(x + 1) % 5], 1) for x in range(5)]
            A = [[A[x][y] ^ Dd[x] for y in range(5)] for x in range(5)]
            x, y, c = 1, 0, A[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                c, A[x][y] = A[x][y], rot(c, (t + 1) * (t + 2) // 2)
            for y in range(5):
                T = [A[x][y] for x in range(5)]
                for x in range(5):
                    A[x][y] = T[x] ^ ((~T[(x + 1) % 5]) & T[(x + 2) % 5]) & M
            A[0][0] ^= rc()
    return b"".join(A[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def eip55(a):
    h = keccak256(a.encode()).hex()
    return "0x" + "".join(c.upper() if int(x, 16) > 7 else c for c, x in zip(a, h, strict=False))


@kind("btc", "CRYPTO")
def _(r):
    return r.choice(
        [
            lambda: b58c(b"\0" + rb(r, 20)),
            lambda: b58c(b"\5" + rb(r, 20)),
            lambda: bech("bc", 0, rb(r, 20)),
            lambda: bech("bc", 0, rb(r, 20)),
            lambda: bech("bc", 1, rb(r, 32)),
        ]
    )()


@kind("eth", "CRYPTO")
def _(r):
    a = rs(r, H, 40)
    return eip55(a) if r.random() < 0.65 else "0x" + a


@kind("crypto_other", "CRYPTO")
def _(r):
    return r.choice(
        [
            lambda: b58c(b"\x41" + rb(r, 20)),
            lambda: bech("ltc", 0, rb(r, 20)),
            lambda: b58(rb(r, 32)),
            lambda: b58c(b"\x1e" + rb(r, 20)),
        ]
    )()


# ---------------------------------------------------------------- government ids
G = "GOVERNMENT_ID"


@kind("us_ssn", G)
def _(r):
    a = "%03d" % r.choice([x for x in range(1, 773) if x != 666])
    b = "%02d" % r.randint(1, 99)
    c = "%04d" % r.randint(1, 9999)
    return r.choice([f"{a}-{b}-{c}"] * 6 + [f"{a} {b} {c}", a + b + c])


@kind("us_itin", G)
def _(r):
    return f"9{dg(r, 2)}-{r.choice([50, 58, 65, 70, 77, 82, 88, 90, 94, 99])}-{dg(r, 4)}"


@kind("us_passport", G)
def _(r):
    return r.choice([r.choice("AXYZ") + pat(r, "99999999"), pat(r, "599999999")])


@kind("us_dl", G)
def _(r):
    return r.choice(
        [r.choice("ABDEFNY") + pat(r, "8999999"), r.choice("SCMBW") + pat(r, "999-9999-9999"), pat(r, "899 999 999")]
    )


@kind("uk_nino", G)
def _(r):
    while 1:
        p = r.choice("ABCEGHJKLMNPRSTWXYZ") + r.choice("ABCEGHJKLMNPRSTWXYZ")
        if p not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"):
            break
    n = dg(r, 6)
    s = r.choice("ABCD")
    return r.choice([f"{p} {grp(n, 2)} {s}", p + n + s, p + n + s, f"{p} {n} {s}"])


@kind("uk_nhs", G)
def _(r):
    while 1:
        n = pat(r, "499999999")
        c = 11 - sum(int(d) * w for d, w in zip(n, range(10, 1, -1), strict=False)) % 11
        if c != 10:
            n += str(c % 11)
            return r.choice([f"{n[:3]} {n[3:6]} {n[6:]}"] * 3 + [n, f"{n[:3]}-{n[3:6]}-{n[6:]}"])
    return None


@kind("uk_passport", G)
def _(r):
    return pat(r, r.choice(["599999999", "129999999", "539999999"]))


@kind("uk_dl", G)
def _(r):
    n = (r.choice(LN["en"]).upper() + "99999")[:5]
    y, m, d = date(r)
    m += 50 * (r.random() < 0.5)
    return f"{n}{y // 10 % 10}{m:02d}{d:02d}{y % 10}{rs(r, U, 1)}{r.choice(U + '9')}9{rs(r, U, 2)}"


@kind("fr_nir", G)
def _(r):
    y, m, _d = date(r)
    n = f"{r.choice('12')}{y % 100:02d}{m:02d}{r.choice([75, 69, 13, 59, 33, 31, 44, 67, 78, 92, 34]):02d}{r.randint(1, 400):03d}{r.randint(1, 600):03d}"
    k = "%02d" % (97 - int(n) % 97)
    return r.choice([f"{n[0]} {n[1:3]} {n[3:5]} {n[5:7]} {n[7:10]} {n[10:]} {k}"] * 2 + [n + k, n + " " + k])


@kind("fr_passport", G)
def _(r):
    return r.choice([pat(r, "89") + rs(r, "ABCDEFHIKPRTV", 2) + dg(r, 5), pat(r, "8906")[:4] + dg(r, 8)])


@kind("de_steuerid", G)
def _(r):
    while 1:
        ds = r.sample(D, 9)
        ds.append(r.choice(ds))
        r.shuffle(ds)
        if ds[0] != "0":
            break
    p = 10
    for c in ds:
        s = (int(c) + p) % 10 or 10
        p = s * 2 % 11
    n = "".join(ds) + str((11 - p) % 10)
    return r.choice([f"{n[:2]} {n[2:5]} {n[5:8]} {n[8:]}", n])


@kind("de_sv", G)
def _(r):
    y, m, d = date(r)
    a = r.choice([2, 4, 8, 10, 12, 13, 15, 17, 18, 20, 25, 50, 53, 65])
    l = r.choice("BHKLMSWRF")
    s = r.randint(0, 99)
    z = f"{a:02d}{d:02d}{m:02d}{y % 100:02d}{ord(l) - 64:02d}{s:02d}"
    q = sum(sum(map(int, str(int(c) * w))) for c, w in zip(z, [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1], strict=False)) % 10
    return r.choice(
        [f"{a:02d} {d:02d}{m:02d}{y % 100:02d} {l} {s:02d}{q}", f"{a:02d}{d:02d}{m:02d}{y % 100:02d}{l}{s:02d}{q}"]
    )


@kind("de_perso", G)
def _(r):
    n = r.choice("LMNPRTVWXYC") + rs(r, "CFGHJKLMNPRTVWXYZ0123456789", 8)
    c = sum(int(x, 36) * w for x, w in zip(n, [7, 3, 1] * 3, strict=False)) % 10
    return n + str(c) if r.random() < 0.5 else n[:1] + n[1:]


DL = "TRWAGMYFPDXBNJZSQVHLCKE"


@kind("es_dni", G)
def _(r):
    n = r.randint(1000000, 79999999)
    s = "%08d" % n
    l = DL[n % 23]
    return r.choice([s + l, s + l, s + "-" + l, s + " " + l, f"{s[:2]}.{s[2:5]}.{s[5:]}-{l}"])


@kind("es_nie", G)
def _(r):
    x = r.choice("XYZ")
    n = dg(r, 7)
    l = DL[int(str("XYZ".index(x)) + n) % 23]
    return r.choice([x + n + l, f"{x}-{n}-{l}"])


@kind("es_naf", G)
def _(r):
    p = r.choice(["28", "08", "46", "41", "50"])
    n = pat(r, "89999999")
    k = "%02d" % (int(p + n) % 97)
    return r.choice([f"{p}/{n}/{k}", f"{p} {n} {k}", p + n + k])


@kind("it_cf", G)
def _(r):
    def cons(s, first):
        c = [x for x in s.upper() if x not in "AEIOU"]
        v = [x for x in s.upper() if x in "AEIOU"]
        if first and len(c) > 3:
            c = [c[0], c[2], c[3]]
        return ("".join(c) + "".join(v) + "XXX")[:3]

    y, m, d = date(r)
    s = (
        cons(r.choice(LN["it"]), 0)
        + cons(r.choice(FN["it"]), 1)
        + f"{y % 100:02d}"
        + "ABCDEHLMPRST"[m - 1]
        + f"{d + 40 * r.randint(0, 1):02d}"
        + r.choice(["H501", "F205", "L219", "F839", "A944", "D612", "G273", "D969"])
    )
    od = dict(zip(D, [1, 0, 5, 7, 9, 13, 15, 17, 19, 21], strict=False))
    od.update(
        zip(
            U,
            [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23],
            strict=False,
        )
    )
    t = sum(od[c] if i % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for i, c in enumerate(s))
    s += U[t % 26]
    return s if r.random() < 0.9 else s.lower()


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


@kind("in_aadhaar", G)
def _(r):
    n = r.choice("23456789") + dg(r, 10)
    c = 0
    for i, x in enumerate(reversed(n)):
        c = VD[c][VP[(i + 1) % 8][int(x)]]
    n += str([0, 4, 3, 2, 1, 5, 6, 7, 8, 9][c])
    return r.choice([grp(n, 4)] * 3 + [n, grp(n, 4, "-")])


@kind("in_pan", G)
def _(r):
    return rs(r, U, 3) + "P" + rs(r, U, 1) + dg(r, 4) + rs(r, U, 1)


@kind("nl_bsn", G)
def _(r):
    while 1:
        n = pat(r, "89999999")
        s = sum(int(c) * w for c, w in zip(n, range(9, 1, -1), strict=False)) % 11
        if s < 10:
            n += str(s)
            return n if r.random() < 0.75 else f"{n[:4]}.{n[4:6]}.{n[6:]}"
    return None


@kind("be_rrn", G)
def _(r):
    y, m, d = date(r, 1950, 2005)
    n = f"{y % 100:02d}{m:02d}{d:02d}{r.randint(1, 997):03d}"
    k = "%02d" % (97 - int(("2" if y > 1999 else "") + n) % 97)
    return r.choice([f"{n[:2]}.{n[2:4]}.{n[4:6]}-{n[6:]}.{k}"] * 3 + [n + k, f"{n[:6]}-{n[6:]}-{k}"])


@kind("pt_nif", G)
def _(r):
    n = r.choice("12") + dg(r, 7)
    s = 11 - sum(int(c) * w for c, w in zip(n, range(9, 1, -1), strict=False)) % 11
    n += str(0 if s > 9 else s)
    return n if r.random() < 0.6 else grp(n, 3)


def _br(n, ws):
    for W in ws:
        s = sum(int(c) * w for c, w in zip(n, W, strict=False)) % 11
        n += str(0 if s < 2 else 11 - s)
    return n


@kind("br_cpf", G)
def _(r):
    n = _br(dg(r, 9), [range(10, 1, -1), range(11, 1, -1)])
    return f"{n[:3]}.{n[3:6]}.{n[6:9]}-{n[9:]}" if r.random() < 0.8 else n


@kind("ch_ahv", G)
def _(r):
    n = "756" + dg(r, 9)
    n += str(-sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(n)) % 10)
    return f"{n[:3]}.{n[3:7]}.{n[7:11]}.{n[11:]}" if r.random() < 0.85 else n


@kind("pl_pesel", G)
def _(r):
    y, m, d = date(r, 1955, 2004)
    m += 20 * (y > 1999)
    n = f"{y % 100:02d}{m:02d}{d:02d}" + dg(r, 4)
    return n + str(-sum(int(c) * w for c, w in zip(n, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3], strict=False)) % 10)


@kind("at_svnr", G)
def _(r):
    while 1:
        y, m, d = date(r)
        s = pat(r, "899")
        t = f"{d:02d}{m:02d}{y % 100:02d}"
        k = sum(int(c) * w for c, w in zip(s + t, [3, 7, 9, 5, 8, 4, 2, 1, 6], strict=False)) % 11
        if k < 10:
            return f"{s}{k} {t}" if r.random() < 0.6 else f"{s}{k}{t}"
    return None


@kind("ca_sin", G)
def _(r):
    n = luhn(pat(r, "79999999"))
    return r.choice([grp(n, 3), grp(n, 3, "-"), n])


# ---------------------------------------------------------------- issued secrets
S = "SECRET_ISSUED"


def simple(name, f):
    kind(name, S)(f)


def gh(r):
    b = rs(r, AN, 30)
    c = zlib.crc32(b.encode())
    A = D + U + L
    s = ""
    while c:
        c, m = divmod(c, 62)
        s = A[m] + s
    return r.choice(["ghp_", "ghp_", "ghp_", "gho_", "ghs_"]) + b + s.rjust(6, "0")


simple(
    "openai",
    lambda r: r.choice(
        [
            lambda: "sk-proj-" + rs(r, B64U, 74) + "T3BlbkFJ" + rs(r, B64U, 74),
            lambda: "sk-" + rs(r, AN, 20) + "T3BlbkFJ" + rs(r, AN, 20),
        ]
    )(),
)
simple("anthropic", lambda r: "sk-ant-api03-" + rs(r, B64U, 93) + "AA")
simple("aws_akid", lambda r: r.choice(["AKIA", "AKIA", "ASIA"]) + rs(r, U + "234567", 16))
simple("aws_secret", lambda r: rs(r, B64, 40))
simple("github", gh)
simple("github_fine", lambda r: "github_pat_11" + rs(r, U + D, 20) + "_" + rs(r, AN, 59))
simple("gitlab", lambda r: "glpat-" + rs(r, B64U, 20))
simple("slack_bot", lambda r: r.choice(["xoxb-", "xoxp-"]) + pat(r, "8999999999999-8999999999999-") + rs(r, AN, 24))
simple(
    "slack_webhook",
    lambda r: "https://hooks.slack.com/services/T" + rs(r, U + D, 10) + "/B" + rs(r, U + D, 10) + "/" + rs(r, AN, 24),
)
simple("discord_webhook", lambda r: "https://discord.com/api/webhooks/1" + dg(r, 18) + "/" + rs(r, B64U, 68))
simple(
    "stripe",
    lambda r: r.choice(
        [
            lambda: "sk_live_" + rs(r, AN, 24),
            lambda: "sk_live_51" + rs(r, AN, 97),
            lambda: "rk_live_51" + rs(r, AN, 97),
            lambda: "whsec_" + rs(r, AN, 32),
            lambda: "sk_test_51" + rs(r, AN, 97),
        ]
    )(),
)
simple("google_api", lambda r: "AIzaSy" + rs(r, B64U, 33))
simple("google_oauth", lambda r: "GOCSPX-" + rs(r, B64U, 28))
simple("sendgrid", lambda r: "SG." + rs(r, B64U, 22) + "." + rs(r, B64U, 43))
simple("hf", lambda r: "hf_" + rs(r, string.ascii_letters, 34))
simple("npm", lambda r: "npm_" + rs(r, AN, 36))
simple("pypi", lambda r: "pypi-AgEIcHlwaS5vcmc" + rs(r, B64U, 150))
simple(
    "vendor_misc",
    lambda r: r.choice(
        [
            lambda: "dop_v1_" + rs(r, H, 64),
            lambda: "shpat_" + rs(r, H, 32),
            lambda: "dckr_pat_" + rs(r, B64U, 27),
            lambda: "ntn_" + dg(r, 11) + rs(r, AN, 35),
            lambda: "lin_api_" + rs(r, AN, 40),
            lambda: "pat" + rs(r, AN, 14) + "." + rs(r, H, 64),
            lambda: "NRAK-" + rs(r, U + D, 27),
            lambda: "glsa_" + rs(r, AN, 32) + "_" + rs(r, H, 8),
            lambda: "hvs.CAESI" + rs(r, B64U, 86),
            lambda: "sbp_" + rs(r, H, 40),
            lambda: "key-" + rs(r, H, 32),
            lambda: "figd_" + rs(r, B64U, 40),
            lambda: "gsk_" + rs(r, AN, 52),
            lambda: "sntrys_" + "eyJpYXQiOjE3" + rs(r, AN, 60) + "_" + rs(r, B64, 43),
        ]
    )(),
)
simple("telegram_bot", lambda r: pat(r, "8999999999") + ":AA" + rs(r, B64U, 33))
simple("azure_secret", lambda r: rs(r, AN, 3) + "8Q~" + rs(r, AN + "-_.~", 34))
simple("hex_key", lambda r: rs(r, H, r.choice([32, 32, 40, 64])))
simple(
    "uuid_key",
    lambda r: "-".join([rs(r, H, 8), rs(r, H, 4), "4" + rs(r, H, 3), r.choice("89ab") + rs(r, H, 3), rs(r, H, 12)]),
)
simple(
    "rand_key",
    lambda r: r.choice(
        [
            lambda: rs(r, AN, r.choice([24, 32, 40, 48])),
            lambda: base64.b64encode(rb(r, 32)).decode(),
            lambda: rs(r, B64U, 43),
        ]
    )(),
)
simple("wg_key", lambda r: base64.b64encode(rb(r, 32)).decode())


def b64u(x):
    return base64.urlsafe_b64encode(x).decode().rstrip("=")


@kind("jwt", S)
def _(r):
    j = lambda o: b64u(json.dumps(o, separators=(",", ":")).encode())
    t = r.randint(1690000000, 1760000000)
    h = {"alg": r.choice(["HS256", "RS256"]), "typ": "JWT"}
    p = r.choice(
        [
            {"sub": dg(r, 7), "iat": t, "exp": t + 3600},
            {
                "iss": "https://auth.example-idp.com/",
                "aud": "api",
                "sub": "auth0|" + rs(r, H, 24),
                "scope": "openid profile",
                "exp": t,
            },
            {"user_id": r.randint(100, 99999), "role": r.choice(["admin", "user", "editor"]), "exp": t},
        ]
    )
    return j(h) + "." + j(p) + "." + b64u(rb(r, 32 if h["alg"] == "HS256" else 256))


@kind("private_key", S)
def _(r):
    def w(t, b, n=64):
        return f"-----BEGIN {t}-----\n" + "\n".join(b[i : i + n] for i in range(0, len(b), n)) + f"\n-----END {t}-----"

    s = r.random()
    if s < 0.4:
        return w(
            "OPENSSH PRIVATE KEY",
            base64.b64encode(
                b"openssh-key-v1\0\0\0\0\4none\0\0\0\4none\0\0\0\0\0\0\0\1\0\0\0\x33\0\0\0\x0bssh-ed25519\0\0\0 "
                + rb(r, 32)
                + b"\0\0\0\x98"
                + rb(r, 152)
            ).decode(),
            70,
        )
    if s < 0.7:
        return w(
            "PRIVATE KEY", "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ" + base64.b64encode(rb(r, 1180)).decode()
        )
    if s < 0.85:
        return w("RSA PRIVATE KEY", "MIIEpAIBAAKCAQEA" + base64.b64encode(rb(r, 1180)).decode())
    return w(
        "EC PRIVATE KEY",
        base64.b64encode(
            bytes.fromhex("30770201010420")
            + rb(r, 32)
            + bytes.fromhex("a00a06082a8648ce3d030107a14403420004")
            + rb(r, 64)
        ).decode(),
    )


def _cp(r):
    return r.choice(
        [
            rs(r, AN, 16),
            rs(r, AN, 20),
            r.choice(["Tiger", "Harbor", "Orion", "postgres", "Mallow"]) + dg(r, 4) + r.choice(["", "x", "!"]),
            rs(r, L + D, 12),
        ]
    )


@kind("db_url", S)
def _(r):
    h = r.choice(
        ["db.internal", "prod-db-1.nordwerk.local", "pg.orbitpay.io", "mysql-master", "db-02.vantoro.com", "localhost"]
    )
    u = r.choice(["app", "svc_billing", "admin", "root", "reporting", "shop_rw"])
    d = r.choice(["orders", "prod", "crm", "analytics", "app_db"])
    return r.choice(
        [
            lambda: f"postgres://{u}:{_cp(r)}@{h}:5432/{d}",
            lambda: f"postgresql://{u}:{_cp(r)}@{h}/{d}?sslmode=require",
            lambda: f"mysql://{u}:{_cp(r)}@{h}:3306/{d}",
            lambda: (
                f"mongodb+srv://{u}:{_cp(r)}@cluster0.{rs(r, L + D, 5)}.mongodb.net/{d}?retryWrites=true&w=majority"
            ),
            lambda: f"redis://:{_cp(r)}@cache-01:6379/0",
            lambda: f"amqp://{u}:{_cp(r)}@rabbit:5672/",
            lambda: f"mysql+pymysql://{u}:{_cp(r)}@{h}/{d}",
        ]
    )()


@kind("mssql_conn", S)
def _(r):
    return f"Server=tcp:{r.choice(['sql-prod01', 'vantoro-sql', 'erp-db'])}.database.windows.net,1433;Initial Catalog={r.choice(['Orders', 'ERP', 'HR'])};User ID={r.choice(['sqladmin', 'svc_erp'])};Password={_cp(r)};Encrypt=True;"


@kind("azure_conn", S)
def _(r):
    return f"DefaultEndpointsProtocol=https;AccountName={r.choice(['stprodinvoices', 'nordwerkbackup', 'vantorodata'])};AccountKey={base64.b64encode(rb(r, 64)).decode()};EndpointSuffix=core.windows.net"


@kind("signed_url", S)
def _(r):
    return r.choice(
        [
            lambda: (
                f"https://stprodinvoices.blob.core.windows.net/exports/q{r.randint(1, 4)}.csv?sv=2022-11-02&se=2025-{r.randint(1, 12):02d}-28T09%3A00Z&sr=b&sp=r&sig={rs(r, AN, 41)}%3D"
            ),
            lambda: f"https://app.vantoro.com/reset-password?token={rs(r, B64U, 43)}",
            lambda: f"https://login.orbitpay.io/magic?t={rs(r, H, 48)}",
        ]
    )()


@kind("session_cookie", S)
def _(r):
    return r.choice(
        [
            lambda: rs(r, L + D, 26),
            lambda: rs(r, "0123456789ABCDEF", 32),
            lambda: "s%3A" + rs(r, B64U, 32) + "." + rs(r, AN, 42),
            lambda: rs(r, L + D, 32),
            lambda: "eyJ1c2VyX2lkIjo" + rs(r, AN, 20) + ".Z" + rs(r, B64U, 5) + "." + rs(r, B64U, 27),
        ]
    )()


# ---------------------------------------------------------------- chosen secrets
C = "SECRET_CHOSEN"


def YR(r):
    return str(r.choice([r.randint(1965, 2006), r.randint(2018, 2026), r.randint(2018, 2026)]))


def SYM(r):
    return r.choice("!!!!!#$*@&%+-_")


EN = "coffee dragon sunset buttercup falcon mustang arsenal cookie thunder pepper maverick bluebird orchid tractor guitar rocket yankee biscuit panther willow marble rusty kayak tornado".split()
WD = {
    "de": "sommer schalke kaffee regenbogen urlaub hamburg katze werder gartenzaun apfelbaum feierabend hund mausi sonnenblume fahrrad brezel kuchen".split(),
    "fr": "soleil chocolat doudou marseille papillon bretagne vacances chouchou loulou framboise montagne lapin jardin tournesol croissant".split(),
    "es": "barcelona madrid mariposa gatito playa estrella tequiero verano flamenco sevilla girasol naranja futbol cerveza montana".split(),
    "it": "juventus amore ciccio gelato vesuvio farfalla napoli stella pallone tesoro inter limone ginestra moto".split(),
    "nl": "ajax voetbal fiets hagelslag zonnetje pannenkoek kaasstengel feyenoord tulp poes stroopwafel molen welkom".split(),
    "pt": "benfica flamengo saudade praia corinthians estrela cachorro brasil coracao girassol palmeiras abacaxi pipoca".split(),
}
PET = "Bella Max Luna Rocky Milo Charlie Daisy Bruno Felix Nala Simba Coco Rex Toby Lola".split()


def leet(r, s):
    m = {"a": "@4", "e": "3", "i": "1!", "o": "0", "s": "$5", "t": "7"}
    return "".join(r.choice(m[c]) if c in m and r.random() < 0.6 else c for c in s)


kind("pw_word", C)(
    lambda r: r.choice(
        [
            lambda w: w.title() + dg(r, 2) + SYM(r),
            lambda w: w + dg(r, r.choice([1, 2, 3, 4])),
            lambda w: w.title() + YR(r),
            lambda w: w.title() + SYM(r) + dg(r, 3),
            lambda w: w.title() + r.choice(EN).title() + dg(r, 2),
            lambda w: dg(r, 2) + w + dg(r, 2),
            lambda w: w.upper() + dg(r, 3) + SYM(r),
        ]
    )(r.choice(EN))
)
kind("pw_leet", C)(
    lambda r: (
        (leet(r, r.choice(EN).title()) + r.choice(["", SYM(r), dg(r, 2), dg(r, 2) + SYM(r)]))
        if r.random() < 0.8
        else "P@ssw0rd" + dg(r, 2) + SYM(r)
    )
)
kind("pw_pet", C)(
    lambda r: r.choice(
        [
            lambda p: p + YR(r),
            lambda p: p + YR(r) + SYM(r),
            lambda p: p.lower() + dg(r, 2),
            lambda p: p + "&" + r.choice(PET) + dg(r, 2),
            lambda p: p + "_" + dg(r, 4),
            lambda p: "ilove" + p.lower() + dg(r, 1),
        ]
    )(r.choice(PET))
)


def _loc(l):
    def f(r):
        w = r.choice(WD[l])
        v = r.choice(WD[l])
        return r.choice(
            [
                w.title() + YR(r),
                w + dg(r, 2),
                w.title() + dg(r, 2) + SYM(r),
                w.title() + v.title() + dg(r, 2),
                w + "." + v + dg(r, 1),
                w.title() + SYM(r) + dg(r, 4),
                leet(r, w.title()) + dg(r, 2),
                w + YR(r)[2:] + SYM(r),
            ]
        )

    kind("pw_" + l, C)(f)


for _l in WD:
    _loc(_l)
kind("pw_season", C)(
    lambda r: (
        r.choice(
            [
                "Summer",
                "Winter",
                "Spring",
                "Autumn",
                "Welcome",
                "Monday",
                "October",
                "January",
                "Changeme",
                "Temp",
                "Start",
                "Password",
            ]
        )
        + r.choice(["", SYM(r), "-"])
        + r.choice([str(r.randint(2021, 2026)), dg(r, 2), "123"])
        + r.choice(["", "!", "!!", "#"])
    )
)
kind("pw_company", C)(
    lambda r: (
        r.choice(["Vantoro", "Nordwerk", "OrbitPay", "Meridian", "Tallgrass", "Brightwell", "Harlow"])
        + r.choice(["", "@", "#", "_", "-"])
        + r.choice([str(r.randint(2019, 2026)), dg(r, 3), "Admin" + dg(r, 1)])
        + r.choice(["", "!", "$"])
    )
)


@kind("pw_random", C)
def _(r):
    n = r.choice([10, 12, 12, 14, 16, 16, 18, 20, 24])
    al = r.choice([AN, AN + "!@#$%^&*", AN + "!@#$%^&*-_=+?.", AN + "!#%+-:=?@", L + D])
    while 1:
        s = rs(r, al, n)
        if any(c.isdigit() for c in s) and any(c.isalpha() for c in s) and s[0] in AN and s[-1] not in ".?,:;":
            return s
    return None


@kind("pw_apple", C)
def _(r):
    def syl():
        return r.choice("bcdfghjkmnpqrstvwxz") + r.choice("aeiouy") + r.choice("bcdfghjkmnpqrstvwxz")

    s = [syl() + syl() for _ in range(3)]
    i = r.randint(0, 2)
    p = r.choice([0, 5])
    s[i] = (dg(r, 1) + s[i][1:]) if p == 0 else s[i][:5] + dg(r, 1)
    j = (i + 1) % 3
    k = r.randint(1, 4)
    s[j] = s[j][:k] + s[j][k].upper() + s[j][k + 1 :]
    return "-".join(s)


kind("pw_keyboard", C)(
    lambda r: (
        r.choice(["qwerty", "1qaz2wsx", "asdfgh", "zaq12wsx", "qwertz", "azerty", "1q2w3e4r", "qazwsx"])
        + r.choice(["", dg(r, 2), dg(r, 3), SYM(r) + dg(r, 1)])
    )
)
kind("pw_plain", C)(lambda r: r.choice(r.choice([EN, WD["de"], WD["fr"], WD["es"], WD["it"], WD["nl"], WD["pt"]])))
kind("pw_acronym", C)(
    lambda r: (
        r.choice(["Mdaltw", "IwbiL", "Mftshi", "WgnH", "tqbfjo", "Jmlcdv", "Ilmn2d", "Wmhs", "McsLpd", "Mhhdk"])
        + r.choice(["&", "!", "", "$", "-"])
        + dg(r, r.choice([2, 3, 4]))
        + r.choice(["", "x", "!", "Zz"])
    )
)
DW = "anvil basket cactus copper cradle dolphin ember fossil garnet hazel iceberg jigsaw kettle lantern magnet nectar orbit pebble quartz ribbon saddle timber umbrella velvet walnut yonder zipper staple battery canyon flannel gravel".split()
DWX = {
    "de": "Lampe Wolke Besen Ziegel Tanne Koffer Eimer Pinsel Gabel Nebel Teppich Kerze".split(),
    "fr": "cheval bougie nuage marteau violon brique citron tiroir sapin plume".split(),
    "es": "puente limon tambor nube martillo ventana roble cuchara piedra farol".split(),
}


@kind("passphrase", C)
def _(r):
    w = r.sample(DW, r.choice([3, 4, 4, 5]))
    sep = r.choice(["-", "-", " ", ".", "_", ""])
    if sep == "" or r.random() < 0.4:
        w = [x.title() for x in w]
    if r.random() < 0.4:
        i = r.randrange(len(w))
        w[i] += dg(r, 1)
    return sep.join(w)


@kind("passphrase_loc", C)
def _(r):
    l = r.choice(list(DWX))
    return r.choice(["-", " ", "-", "."]).join(r.sample(DWX[l], r.choice([3, 4]))) + r.choice(["", "", dg(r, 2)])


kind("passphrase_sent", C)(
    lambda r: r.choice(
        [
            "my {a} ate {n} {b}s",
            "The{A}Sings@{n}am",
            "{n} {a}s on a {b}",
            "never feed the {a} after {n}",
            "Thereisa{A}inthe{B}{n}",
            "we bought the {a} in {y}",
        ]
    ).format(
        a=r.choice(DW), b=r.choice(DW), A=r.choice(DW).title(), B=r.choice(DW).title(), n=r.randint(2, 99), y=YR(r)
    )
)


def _pin(r, n):
    while 1:
        s = dg(r, n)
        if len(set(s)) > 1:
            return s
    return None


@kind("pin4", C)
def _(r):
    return (
        _pin(r, 4)
        if r.random() < 0.7
        else r.choice(
            [
                "%02d%02d" % (r.randint(1, 28), r.randint(1, 12)),
                YR(r),
                r.choice(["2580", "1379", "1212", "4711", "7788"]),
            ]
        )
    )


kind("pin6", C)(lambda r: _pin(r, 6))
kind("pin5", C)(lambda r: _pin(r, 5))


@kind("otp", C)
def _(r):
    s = _pin(r, r.choice([6, 6, 6, 6, 8]))
    return r.choice([s, s, s, s[: len(s) // 2] + " " + s[len(s) // 2 :], s[:3] + "-" + s[3:] if len(s) == 6 else s])


@kind("otp_alnum", C)
def _(r):
    return r.choice(
        [
            rs(r, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 6),
            rs(r, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 8),
            rs(r, H, 5) + "-" + rs(r, H, 5),
        ]
    )


kind("door_code", C)(
    lambda r: r.choice(
        [
            _pin(r, 4),
            _pin(r, 4) + "#",
            "#" + _pin(r, 4),
            _pin(r, 4) + r.choice("AB"),
            _pin(r, 2) + r.choice("AB") + _pin(r, 2),
            _pin(r, 5),
            "*" + _pin(r, 4) + "#",
            r.choice("AB") + _pin(r, 4),
        ]
    )
)
kind("safe_combo", C)(lambda r: r.choice(["-", " - ", "-"]).join("%02d" % r.randint(1, 99) for _ in range(3)))
kind("wifi_factory", C)(
    lambda r: r.choice(
        [
            lambda: dg(r, 20),
            lambda: grp(dg(r, 20), 4),
            lambda: dg(r, 16),
            lambda: rs(r, L + D, 12),
            lambda: rs(r, "ABCDEF0123456789", r.choice([10, 16, 26])),
            lambda: rs(r, AN, 13),
            lambda: r.choice(DW) + dg(r, 3) + r.choice(DW),
        ]
    )()
)
kind("wifi_chosen", C)(
    lambda r: r.choice(
        [
            lambda: (
                r.choice(["guest", "Gast", "welcome", "invite", "office", "familie", "casa"])
                + r.choice(["", "-", "_"])
                + r.choice(DW)
                + dg(r, 2)
            ),
            lambda: r.choice(DW).title() + r.choice(DW).title() + dg(r, 3),
            lambda: "The" + r.choice(LN["en"]).title() + "s" + YR(r),
            lambda: r.choice(DW) + r.choice(DW) + r.choice(DW),
            lambda: "kein" + r.choice(["internet", "wlan", "empfang"]) + dg(r, 2),
            lambda: (
                r.choice(["drinkmorewater", "getoffmylawn", "holaquetal", "nosemeocurre", "ilovethisbar"]) + dg(r, 1)
            ),
        ]
    )()
)
kind("mem_word", C)(
    lambda r: (
        r.choice(DW + [w for l in WD for w in WD[l]])
        if r.random() < 0.5
        else r.choice(PET) + r.choice(["ton", "berg", "field", ""]) + dg(r, 2)
    )
)
