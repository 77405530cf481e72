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


D = string.digits
U = string.ascii_uppercase
L = string.ascii_lowercase
AN = string.ascii_letters + D
HX = "0123456789abcdef"
B62 = D + U + L
B64 = AN + "+/"
B64U = AN + "-_"


def rs(r, n, a=AN):
    return "".join(r.choice(a) for _ in range(n))


def dg(r, n):
    return rs(r, n, D)


def rb(r, n):
    return bytes(r.randrange(256) for _ in range(n))


def b64u(b):
    return base64.urlsafe_b64encode(b).decode().rstrip("=")


def b64(b):
    return base64.b64encode(b).decode()


def luhn(s):
    t = 0
    for i, c in enumerate(reversed(s)):
        d = int(c)
        if i % 2 == 0:
            d = d * 2 - 9 if d > 4 else d * 2
        t += d
    return s + str(-t % 10)


def grp(s, n, sep=" "):
    return sep.join(s[i : i + n] for i in range(0, len(s), n))


FIRST = [
    "marta",
    "jonas",
    "claire",
    "luca",
    "emma",
    "priya",
    "tom",
    "sabine",
    "lucia",
    "pieter",
    "joao",
    "helen",
    "karim",
    "nadia",
    "oliver",
    "greta",
    "paolo",
    "ines",
    "victor",
    "fiona",
    "dmitri",
    "aoife",
    "sanne",
    "wei",
    "rachel",
    "bruno",
    "leonie",
    "hamza",
]
LAST = [
    "keller",
    "moreau",
    "rossi",
    "garcia",
    "patel",
    "hughes",
    "dejong",
    "silva",
    "brandt",
    "lefevre",
    "conti",
    "navarro",
    "oconnor",
    "schuster",
    "vermeer",
    "almeida",
    "nguyen",
    "walsh",
    "fontaine",
    "hoffmann",
    "ricci",
    "ortega",
    "mehta",
    "barker",
    "petit",
    "wolff",
]
DOM = [
    "gmail.com",
    "gmail.com",
    "outlook.com",
    "yahoo.com",
    "hotmail.co.uk",
    "gmx.de",
    "web.de",
    "t-online.de",
    "orange.fr",
    "free.fr",
    "laposte.net",
    "libero.it",
    "icloud.com",
    "hotmail.es",
    "ziggo.nl",
    "sapo.pt",
    "proton.me",
    "brandt-logistik.de",
    "northfieldclinic.org",
    "studio-conti.it",
    "harbourviewlets.co.uk",
    "acme-metrics.io",
]


@kind("email", "EMAIL_ADDRESS")
def _(r):
    f, l = r.choice(FIRST), r.choice(LAST)
    p = r.choice(
        [
            "%s.%s" % (f, l),
            "%s.%s" % (f, l),
            f + l,
            "%s%s" % (f[0], l),
            "%s_%s" % (f, l),
            "%s.%s%d" % (f, l, r.randint(1, 99)),
            "%s%d" % (f, r.randint(1970, 2004)),
            "%s-%s" % (f, l),
        ]
    )
    return p + "@" + r.choice(DOM)


@kind("email_role", "EMAIL_ADDRESS")
def _(r):
    return (
        r.choice(
            [
                "%s.%s+%s" % (r.choice(FIRST), r.choice(LAST), r.choice(["shop", "invoices", "test"])),
                r.choice(FIRST).title() + "." + r.choice(LAST).title(),
            ]
        )
        + "@"
        + r.choice(DOM)
    )


@kind("phone_us", "PHONE_NUMBER")
def _(r):
    a = r.choice(["212", "415", "312", "617", "206", "512", "303", "718", "919", "404"])
    b = r.choice("23456789") + dg(r, 2)
    if b[1:] == "11":
        b = b[0] + "34"
    c = dg(r, 4)
    return r.choice(["(%s) %s-%s", "%s-%s-%s", "+1 %s-%s-%s", "%s.%s.%s", "+1 (%s) %s-%s", "%s%s%s"]) % (a, b, c)


@kind("phone_uk", "PHONE_NUMBER")
def _(r):
    m = "7" + r.choice("3457 89".replace(" ", "")) + dg(r, 2)
    x = dg(r, 6)
    return r.choice(
        [
            "0%s %s" % (m, x),
            "0%s %s %s" % (m, x[:3], x[3:]),
            "+44 %s %s" % (m, x),
            "0%s%s" % (m, x),
            "+44%s%s" % (m, x),
            "020 7%s %s" % (dg(r, 3), dg(r, 4)),
            "0161 4%s %s" % (dg(r, 2), dg(r, 4)),
        ]
    )


@kind("phone_fr", "PHONE_NUMBER")
def _(r):
    p = r.choice("66671245")
    x = dg(r, 8)
    q = grp(x, 2)
    return r.choice(
        [
            "0%s %s" % (p, q),
            "0%s %s" % (p, q),
            "0%s.%s" % (p, q.replace(" ", ".")),
            "+33 %s %s" % (p, q),
            "0%s%s" % (p, x),
            "+33%s%s" % (p, x),
        ]
    )


@kind("phone_de", "PHONE_NUMBER")
def _(r):
    m = r.choice(["151", "160", "170", "172", "176", "178", "157"])
    x = r.choice("23456789") + dg(r, 7)
    return r.choice(
        [
            "0%s %s" % (m, x),
            "0%s/%s" % (m, x),
            "+49 %s %s" % (m, x),
            "0%s-%s" % (m, x),
            "0%s%s" % (m, x),
            "+49 (0)%s %s" % (m, x),
            "030 %s" % x,
            "089/%s" % x[:7],
            "0221 %s" % x[:6],
        ]
    )


@kind("phone_es", "PHONE_NUMBER")
def _(r):
    x = r.choice(["6", "6", "6", "7", "91", "93"])
    x += dg(r, 9 - len(x))
    if x[:2] == "70":
        x = "71" + x[2:]
    return r.choice([grp(x, 3), x, "+34 " + grp(x, 3), "+34" + x, "%s %s %s %s" % (x[:3], x[3:5], x[5:7], x[7:])])


@kind("phone_it", "PHONE_NUMBER")
def _(r):
    m = r.choice(["333", "347", "328", "340", "349", "320", "388", "392"])
    x = dg(r, 7)
    return r.choice(
        [
            "%s %s" % (m, x),
            "+39 %s %s" % (m, x),
            m + x,
            "%s %s %s" % (m, x[:3], x[3:]),
            "%s/%s" % (m, x),
            "02 %s" % (r.choice("3456") + dg(r, 7)),
        ]
    )


@kind("phone_in", "PHONE_NUMBER")
def _(r):
    x = r.choice("6789") + dg(r, 9)
    return r.choice(["+91 %s %s" % (x[:5], x[5:]), x, "+91-" + x, "%s %s" % (x[:5], x[5:]), "+91" + x])


@kind("phone_nl", "PHONE_NUMBER")
def _(r):
    x = r.choice("12345") + dg(r, 7)
    return r.choice(["06-" + x, "06 " + grp(x, 2), "+31 6 " + x, "06" + x, "+316" + x])


@kind("phone_pt", "PHONE_NUMBER")
def _(r):
    x = "9" + r.choice("1236") + dg(r, 7)
    return r.choice([grp(x, 3), x, "+351 " + grp(x, 3)])


@kind("phone_ch", "PHONE_NUMBER")
def _(r):
    m = r.choice(["76", "77", "78", "79"])
    x = dg(r, 7)
    t = "%s %s %s" % (x[:3], x[3:5], x[5:])
    return r.choice(["0%s %s" % (m, t), "+41 %s %s" % (m, t)])


@kind("phone_at", "PHONE_NUMBER")
def _(r):
    return r.choice(["0%s %s", "+43 %s %s", "0%s/%s"]) % (
        r.choice(["664", "676", "650", "699"]),
        r.choice("23456789") + dg(r, 6),
    )


@kind("phone_au", "PHONE_NUMBER")
def _(r):
    x = dg(r, 8)
    return r.choice(["04%s %s %s" % (x[:2], x[2:5], x[5:]), "+61 4%s %s %s" % (x[:2], x[2:5], x[5:])])


@kind("card", "CREDIT_CARD")
def _(r):
    if r.random() < 0.15:
        s = luhn(r.choice(["34", "37"]) + dg(r, 12))
        return r.choice([s, "%s %s %s" % (s[:4], s[4:10], s[10:])])
    s = luhn(r.choice(["4" + dg(r, 5), "4" + dg(r, 5), str(r.randint(51, 55)) + dg(r, 4)]) + dg(r, 9))
    return r.choice([grp(s, 4), grp(s, 4), grp(s, 4, "-"), s])


def iban(cc, bban):
    n = "".join(str(int(c, 36)) for c in bban + cc + "00")
    return cc + "%02d" % (98 - int(n) % 97) + bban


def isp(r, s):
    return s if r.random() < 0.35 else grp(s, 4)


@kind("iban_de", "IBAN_CODE")
def _(r):
    return isp(
        r,
        iban(
            "DE",
            r.choice(["37040044", "10050000", "50010517", "70150000", "43060967", "20050550", "12030000"]) + dg(r, 10),
        ),
    )


@kind("iban_fr", "IBAN_CODE")
def _(r):
    b = r.choice(["30004", "20041", "30002", "10278", "14508"]) + dg(r, 5)
    a = dg(r, 11)
    k = 97 - (89 * int(b[:5]) + 15 * int(b[5:]) + 3 * int(a)) % 97
    return isp(r, iban("FR", b + a + "%02d" % k))


def ccc(r):
    b = r.choice(["2100", "0049", "0182", "1465", "2038", "0081"]) + dg(r, 4)
    a = dg(r, 10)
    w = [1, 2, 4, 8, 5, 10, 9, 7, 3, 6]

    def c(s):
        x = 11 - sum(int(d) * k for d, k in zip(s, w, strict=False)) % 11
        return {10: "1", 11: "0"}.get(x, str(x))

    return b + c("00" + b) + c(a) + a


@kind("iban_es", "IBAN_CODE")
def _(r):
    return isp(r, iban("ES", ccc(r)))


ODD = {}
for c, v in zip(
    D + U,
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
):
    ODD[c] = v


def itctl(s):
    return U[sum(ODD[c] if i % 2 == 0 else (int(c) if c.isdigit() else U.index(c)) for i, c in enumerate(s)) % 26]


@kind("iban_it", "IBAN_CODE")
def _(r):
    s = r.choice(["05428", "02008", "03069", "01030", "03015"]) + dg(r, 5) + dg(r, 12)
    return isp(r, iban("IT", itctl(s) + s))


@kind("iban_nl", "IBAN_CODE")
def _(r):
    while 1:
        a = "0" + r.choice("123456789") + dg(r, 8)
        if sum(int(c) * (10 - i) for i, c in enumerate(a)) % 11 == 0:
            break
    return isp(r, iban("NL", r.choice(["ABNA", "INGB", "RABO", "TRIO"]) + a))


@kind("iban_gb", "IBAN_CODE")
def _(r):
    return isp(r, iban("GB", r.choice(["BARC20", "NWBK60", "LOYD30", "HBUK40"]) + dg(r, 12)))


@kind("iban_pt", "IBAN_CODE")
def _(r):
    b = r.choice(["0035", "0033", "0010", "0007"]) + dg(r, 4) + dg(r, 11)
    return isp(r, iban("PT", b + "%02d" % (98 - int(b + "00") % 97)))


@kind("iban_other", "IBAN_CODE")
def _(r):
    k = r.choice(["BE", "AT", "CH"])
    if k == "BE":
        b = r.choice(["0", "3", "7"]) + dg(r, 9)
        s = b + "%02d" % (int(b) % 97 or 97)
    elif k == "AT":
        s = r.choice(["20111", "12000", "32000", "60000"]) + dg(r, 11)
    else:
        s = "00" + r.choice(["762", "230", "700"]) + dg(r, 12)
    return isp(r, iban(k, s))


@kind("bank_us_account", "BANK_ACCOUNT")
def _(r):
    return r.choice("123456789") + dg(r, r.choice([8, 9, 9, 11]))


@kind("bank_us_routing", "BANK_ACCOUNT")
def _(r):
    b = r.choice(["0210", "1210", "0260", "1110", "0720", "3222", "0614"]) + dg(r, 4)
    w = [3, 7, 1, 3, 7, 1, 3, 7]
    return b + str(-sum(int(c) * k for c, k in zip(b, w, strict=False)) % 10)


@kind("bank_uk_account", "BANK_ACCOUNT")
def _(r):
    return r.choice("0123456789") + dg(r, 7)


@kind("bank_uk_sort", "BANK_ACCOUNT")
def _(r):
    s = r.choice(["20", "30", "40", "60", "04", "77", "09"]) + dg(r, 4)
    return r.choice([grp(s, 2, "-")] * 4 + [s])


@kind("bank_es_ccc", "BANK_ACCOUNT")
def _(r):
    s = ccc(r)
    return r.choice(
        [s, "%s %s %s %s" % (s[:4], s[4:8], s[8:10], s[10:]), "%s-%s-%s-%s" % (s[:4], s[4:8], s[8:10], s[10:])]
    )


@kind("bank_in_account", "BANK_ACCOUNT")
def _(r):
    return r.choice(["3" + dg(r, 10), "50100" + dg(r, 9), "0" + dg(r, 11)])


# ---- government ids
G = "GOVERNMENT_ID"


def ymd(r, a=1950, b=2003):
    return r.randint(a, b), r.randint(1, 12), r.randint(1, 28)


@kind("us_ssn", G)
def _(r):
    a = r.choice([x for x in range(1, 899) if x != 666])
    s = "%03d-%02d-%04d" % (a, r.randint(1, 99), r.randint(1, 9999))
    return r.choice([s] * 6 + [s.replace("-", " "), s.replace("-", "")])


@kind("us_itin", G)
def _(r):
    return "9%s-%d-%s" % (dg(r, 2), r.choice([70, 72, 75, 78, 81, 84, 88, 90, 92, 94, 97]), dg(r, 4))


@kind("us_ein", G)
def _(r):
    return "%s-%s" % (r.choice(["12", "27", "36", "45", "47", "82", "84", "87", "88"]), dg(r, 7))


@kind("us_passport", G)
def _(r):
    return r.choice([r.choice("456") + dg(r, 8), "A" + dg(r, 8)])


@kind("us_dl_ca", G)
def _(r):
    return r.choice("BDEFNY") + dg(r, 7)


@kind("us_mbi", G)
def _(r):
    A = "ACDEFGHJKMNPQRTUVWXY"
    X = A + D
    s = (
        r.choice("123456789")
        + r.choice(A)
        + r.choice(X)
        + r.choice(D)
        + r.choice(A)
        + r.choice(X)
        + r.choice(D)
        + r.choice(A)
        + r.choice(A)
        + dg(r, 2)
    )
    return r.choice([s, "%s-%s-%s" % (s[:4], s[4:7], s[7:])])


@kind("uk_nino", G)
def _(r):
    while 1:
        p = r.choice("ABCEGHJKLMNPRSTWXYZ") + r.choice("ABCEGHJKLMNPRSTWXYZ")
        if p not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
            break
    x = dg(r, 6)
    s = r.choice("ABCD")
    return r.choice(["%s %s %s" % (p, grp(x, 2), s), p + x + s])


@kind("uk_nhs", G)
def _(r):
    while 1:
        b = r.choice("467") + dg(r, 8)
        c = 11 - sum(int(d) * (10 - i) for i, d in enumerate(b)) % 11
        if c != 10:
            break
    s = b + str(c % 11)
    return r.choice(["%s %s %s" % (s[:3], s[3:6], s[6:])] * 3 + [s, "%s-%s-%s" % (s[:3], s[3:6], s[6:])])


@kind("uk_utr", G)
def _(r):
    b = dg(r, 9)
    s = "21987654321"[sum(int(d) * w for d, w in zip(b, [6, 7, 8, 9, 10, 5, 4, 3, 2], strict=False)) % 11] + b
    return r.choice([s, s, s[:5] + " " + s[5:]])


@kind("uk_passport", G)
def _(r):
    return r.choice("1356") + dg(r, 8)


@kind("uk_dl", G)
def _(r):
    y, m, d = ymd(r)
    return (
        (r.choice(LAST).upper() + "9999")[:5]
        + str(y)[2]
        + "%02d%02d" % (m + r.choice([0, 50]), d)
        + str(y)[3]
        + r.choice(U)
        + r.choice(U + "9")
        + "9"
        + rs(r, 2, U)
    )


@kind("fr_nir", G)
def _(r):
    y, m, _d = ymd(r)
    b = "%s%02d%02d%s%03d%03d" % (
        r.choice("12"),
        y % 100,
        m,
        r.choice(["75", "69", "13", "33", "59", "44", "31", "92"]),
        r.randint(1, 400),
        r.randint(1, 700),
    )
    k = "%02d" % (97 - int(b) % 97)
    return r.choice(
        ["%s %s %s %s %s %s %s" % (b[0], b[1:3], b[3:5], b[5:7], b[7:10], b[10:], k)] * 3 + [b + k, b + " " + k]
    )


@kind("fr_spi", G)
def _(r):
    b = r.choice("0123") + dg(r, 9)
    s = b + "%03d" % (int(b) % 511)
    return r.choice([s, "%s %s %s %s %s" % (s[:2], s[2:4], s[4:7], s[7:10], s[10:])])


@kind("fr_cni", G)
def _(r):
    return r.choice(
        [
            r.choice("DFXTR") + rs(r, 8, "0123456789CDFGHKLMNPRTVWXYZ"),
            "%02d%02d%s%s" % (r.randint(10, 20), r.randint(1, 12), r.choice(["75", "69", "13", "33"]), dg(r, 6)),
        ]
    )


@kind("fr_passport", G)
def _(r):
    return "%02d%s%s" % (r.randint(14, 25), rs(r, 2, "ACDEFHIKPRTV"), dg(r, 5))


@kind("fr_permis", G)
def _(r):
    return "%02d%02d%s%s" % (r.randint(85, 99), r.randint(1, 12), r.choice(["75", "69", "13", "33", "59"]), dg(r, 6))


@kind("de_steuerid", G)
def _(r):
    ds = list(D)
    r.shuffle(ds)
    ds.pop()
    ds.append(r.choice(ds))
    r.shuffle(ds)
    while ds[0] == "0":
        r.shuffle(ds)
    p = 10
    for c in ds:
        s = (int(c) + p) % 10 or 10
        p = s * 2 % 11
    b = "".join(ds) + str((11 - p) % 10)
    return r.choice(["%s %s %s %s" % (b[:2], b[2:5], b[5:8], b[8:]), b])


@kind("de_steuernummer", G)
def _(r):
    return r.choice(
        [
            "%s/%s/%s" % (r.choice(["181", "143", "21", "37", "133", "29"]), r.choice("3458") + dg(r, 2), dg(r, 5)),
            "%s/%s/%s" % (r.choice(["133", "214", "5"]).rjust(3, "1"), "5" + dg(r, 3), dg(r, 4)),
        ]
    )


def cross(n):
    return n // 10 + n % 10


@kind("de_rvnr", G)
def _(r):
    y, m, d = ymd(r)
    l = r.choice("BFGHKLMRSW")
    b = "%s%02d%02d%02d" % (r.choice(["12", "15", "65", "53", "24", "10"]), d, m, y % 100)
    se = "%02d" % r.randint(0, 99)
    x = b + "%02d" % (U.index(l) + 1) + se
    c = sum(cross(int(a) * w) for a, w in zip(x, [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1], strict=False)) % 10
    return r.choice(["%s %s %s %s%d" % (b[:2], b[2:], l, se, c), b + l + se + str(c)])


@kind("de_kvnr", G)
def _(r):
    l = r.choice(U)
    b = dg(r, 8)
    x = "%02d" % (U.index(l) + 1) + b
    return l + b + str(sum(cross(int(a) * (1 + i % 2)) for i, a in enumerate(x)) % 10)


DEA = "0123456789CFGHJKLMNPRTVWXYZ"


def c731(s):
    return str(sum(int(c, 36) * [7, 3, 1][i % 3] for i, c in enumerate(s)) % 10)


@kind("de_perso", G)
def _(r):
    s = r.choice("LMNPRTVWXYZ") + rs(r, 8, DEA)
    while not any(c.isdigit() for c in s):
        s = s[0] + rs(r, 8, DEA)
    return r.choice([s, s + c731(s)])


@kind("de_pass", G)
def _(r):
    return "C" + r.choice("0123456789") + rs(r, 7, DEA)


@kind("de_fuehrerschein", G)
def _(r):
    while 1:
        s = r.choice("BCDFJKN") + dg(r, 2) + rs(r, 1, D + "R") + rs(r, 5, D + "CFGHJKLMNPRTVWXYZ")
        c = sum(int(k, 36) * (9 - i) for i, k in enumerate(s)) % 11
        if c < 10:
            return s + str(c) + r.choice("1234")
    return None


DL = "TRWAGMYFPDXBNJZSQVHLCKE"


@kind("es_dni", G)
def _(r):
    n = r.randint(10000000, 79999999)
    l = DL[n % 23]
    return r.choice(["%d%s", "%d%s", "%d-%s", "%d %s"]) % (n, l)


@kind("es_nie", G)
def _(r):
    p = r.choice("XYZ")
    n = dg(r, 7)
    l = DL[int(str("XYZ".index(p)) + n) % 23]
    return r.choice(["%s%s%s", "%s-%s-%s", "%s%s%s"]) % (p, n, l)


@kind("es_nuss", G)
def _(r):
    p = r.choice(["28", "08", "46", "41", "29"])
    n = str(r.randint(10000000, 99999999))
    k = "%02d" % (int(p + n) % 97)
    return r.choice([p + n + k, "%s/%s/%s" % (p, n, k), "%s %s %s" % (p, n, k)])


@kind("es_pasaporte", G)
def _(r):
    return "PA" + r.choice("ABCDEFGHK") + dg(r, 6)


@kind("it_cf", G)
def _(r):
    C = "BCDFGLMNPRSTVZ"
    y, m, d = ymd(r)
    if r.random() < 0.5:
        d += 40
    s = (
        rs(r, 2, C)
        + r.choice(C)
        + rs(r, 2, C)
        + r.choice(C)
        + "%02d" % (y % 100)
        + "ABCDEHLMPRST"[m - 1]
        + "%02d" % d
        + r.choice(["H501", "F205", "L219", "F839", "G273", "D612", "A944"])
    )
    s += itctl(s)
    return r.choice([s, s, s, s.lower(), "%s %s %s %s" % (s[:3], s[3:6], s[6:11], s[11:])])


@kind("it_piva", G)
def _(r):
    return r.choice(["", "", "IT"]) + luhn("0" + dg(r, 6) + r.choice(["015", "058", "063", "001"]))


@kind("it_cie", G)
def _(r):
    return "CA" + dg(r, 5) + rs(r, 2, U)


@kind("it_passaporto", G)
def _(r):
    return r.choice(["YA", "YB", "YC"]) + dg(r, 7)


@kind("it_patente", G)
def _(r):
    return "U1" + rs(r, 7, D + "ABCDEFGHKLMNPRSTXYZ") + r.choice("ABCDEFGHLMNPRTY")


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
    b = r.choice("23456789") + dg(r, 10)
    c = 0
    for i, k in enumerate(reversed(b)):
        c = VD[c][VP[(i + 1) % 8][int(k)]]
    s = b + str([0, 4, 3, 2, 1, 5, 6, 7, 8, 9][c])
    return r.choice([grp(s, 4), grp(s, 4), s, grp(s, 4, "-")])


@kind("in_pan", G)
def _(r):
    return rs(r, 3, U) + "P" + r.choice(U) + dg(r, 4) + r.choice(U)


@kind("in_passport", G)
def _(r):
    return r.choice("JKLMNPRSTUVZ") + r.choice("123456789") + dg(r, 6)


@kind("in_voter", G)
def _(r):
    return rs(r, 3, U) + dg(r, 7)


@kind("in_dl", G)
def _(r):
    st = r.choice(["MH12", "KA05", "DL09", "TN10", "GJ01"])
    y = r.randint(2004, 2022)
    return r.choice(["%s %d%s", "%s%d%s", "%s-%d%s"]) % (st, y, dg(r, 7))


@kind("other_nl_bsn", G)
def _(r):
    while 1:
        s = r.choice("12") + dg(r, 8)
        if (sum(int(c) * (9 - i) for i, c in enumerate(s[:8])) - int(s[8])) % 11 == 0:
            return r.choice([s, s, "%s.%s.%s" % (s[:4], s[4:6], s[6:])])
    return None


@kind("other_pt_nif", G)
def _(r):
    b = r.choice("12") + dg(r, 7)
    c = 11 - sum(int(d) * (9 - i) for i, d in enumerate(b)) % 11
    s = b + str(c if c < 10 else 0)
    return r.choice([s, s, grp(s, 3)])


@kind("other_be_nn", G)
def _(r):
    y, m, d = ymd(r, 1950, 1999)
    b = "%02d%02d%02d%03d" % (y % 100, m, d, r.randint(1, 900))
    return "%s.%s.%s-%s.%02d" % (b[:2], b[2:4], b[4:6], b[6:], 97 - int(b) % 97)


@kind("other_ch_ahv", G)
def _(r):
    b = "756" + dg(r, 9)
    c = -sum(int(d) * (1 + 2 * (i % 2)) for i, d in enumerate(b)) % 10
    s = b + str(c)
    return "%s.%s.%s.%s" % (s[:3], s[3:7], s[7:11], s[11:])


@kind("other_at_svnr", G)
def _(r):
    while 1:
        y, m, d = ymd(r)
        t = "%02d%02d%02d" % (d, m, y % 100)
        n = str(r.randint(100, 999))
        c = sum(int(a) * w for a, w in zip(n + t, [3, 7, 9, 5, 8, 4, 2, 1, 6], strict=False)) % 11
        if c < 10:
            return n + str(c) + " " + t
    return None


@kind("other_ca_sin", G)
def _(r):
    s = luhn(r.choice("124567") + dg(r, 7))
    return r.choice([grp(s, 3), grp(s, 3, "-"), s])


@kind("other_br_cpf", G)
def _(r):
    s = dg(r, 9)
    for n in (10, 11):
        s += str((sum(int(c) * (n - i) for i, c in enumerate(s)) * 10) % 11 % 10)
    return r.choice(["%s.%s.%s-%s" % (s[:3], s[3:6], s[6:9], s[9:])] * 3 + [s])


@kind("other_pl_pesel", G)
def _(r):
    y, m, d = ymd(r, 1950, 1999)
    b = "%02d%02d%02d%s" % (y % 100, m, d, dg(r, 4))
    return b + str(-sum(int(c) * w for c, w in zip(b, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3], strict=False)) % 10)


@kind("other_ie_pps", G)
def _(r):
    b = dg(r, 7)
    return b + "WABCDEFGHIJKLMNOPQRSTUV"[sum(int(c) * (8 - i) for i, c in enumerate(b)) % 23] + ""


@kind("other_au_tfn", G)
def _(r):
    while 1:
        s = r.choice("123456789") + dg(r, 8)
        if sum(int(c) * w for c, w in zip(s, [1, 4, 3, 7, 5, 8, 6, 9, 10], strict=False)) % 11 == 0:
            return grp(s, 3)
    return None


@kind("ipv4", "IP_ADDRESS")
def _(r):
    return "%d.%d.%d.%d" % (
        r.choice([82, 91, 78, 185, 51, 34, 54, 86, 93, 203, 217]),
        r.randint(0, 255),
        r.randint(0, 255),
        r.randint(1, 254),
    )


@kind("ipv4_private", "IP_ADDRESS")
def _(r):
    return r.choice(
        [
            "192.168.%d.%d" % (r.choice([0, 1, 2, 178, 10]), r.randint(2, 254)),
            "10.%d.%d.%d" % (r.randint(0, 60), r.randint(0, 255), r.randint(2, 254)),
            "172.%d.%d.%d" % (r.randint(16, 31), r.randint(0, 255), r.randint(2, 254)),
        ]
    )


@kind("ipv6", "IP_ADDRESS")
def _(r):
    h = lambda: "%x" % r.randint(256, 65535)
    return r.choice(
        [
            "2a01:4f8:%s:%s::%d" % (h(), h(), r.randint(1, 9)),
            "2003:%s:%s:%s:%s:%s:%s:%s" % tuple(h() for _ in range(7)),
            "fe80::%s:%s:%s:%s" % tuple(h() for _ in range(4)),
            "2a02:8109:%s:%s:%s:%s:%s:%s" % tuple(h() for _ in range(6)),
        ]
    )


@kind("mac", "MAC_ADDRESS")
def _(r):
    s = r.choice(["3c22fb", "b827eb", "f0189", "a4c3f0", "00155d", "dca632"]).ljust(6, "8") + rs(r, 6, HX)
    return r.choice([grp(s, 2, ":"), grp(s, 2, ":").upper(), grp(s, 2, "-").upper(), grp(s, 4, ".")])


# ---- crypto
B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def b58(b):
    n = int.from_bytes(b, "big")
    o = ""
    while n:
        n, m = divmod(n, 58)
        o = B58[m] + o
    return "1" * (len(b) - len(b.lstrip(b"\0"))) + o


def b58c(b):
    return b58(b + hashlib.sha256(hashlib.sha256(b).digest()).digest()[:4])


CH = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(hrp, data, const=1):
    def pm(v):
        c = 1
        for x in v:
            t = c >> 25
            c = (c & 0x1FFFFFF) << 5 ^ x
            for i, g in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
                if t >> i & 1:
                    c ^= g
        return c

    e = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    p = pm(e + data + [0] * 6) ^ const
    return hrp + "1" + "".join(CH[d] for d in data + [p >> 5 * (5 - i) & 31 for i in range(6)])


def to5(b):
    n = int.from_bytes(b, "big")
    L8 = len(b) * 8
    pad = -L8 % 5
    n <<= pad
    k = (L8 + pad) // 5
    return [n >> 5 * (k - 1 - i) & 31 for i in range(k)]


@kind("btc", "CRYPTO")
def _(r):
    return r.choice(
        [
            b58c(b"\0" + rb(r, 20)),
            b58c(b"\5" + rb(r, 20)),
            bech32("bc", [0, *to5(rb(r, 20))]),
            bech32("bc", [0, *to5(rb(r, 20))]),
        ]
    )


def keccak(data):
    M = (1 << 64) - 1
    rol = lambda x, n: ((x << n | x >> (64 - n)) & M) if n else x
    RC = [
        1,
        0x8082,
        0x800000000000808A,
        0x8000000080008000,
        0x808B,
        0x80000001,
        0x8000000080008081,
        0x8000000000008009,
        0x8A,
        0x88,
        0x80008009,
        0x8000000A,
        0x8000808B,
        0x800000000000008B,
        0x8000000000008089,
        0x8000000000008003,
        0x8000000000008002,
        0x8000000000000080,
        0x800A,
        0x800000008000000A,
        0x8000000080008081,
        0x8000000000008080,
        0x80000001,
        0x8000000080008008,
    ]
    p = bytearray(data) + b"\1" + bytes(135 - len(data))
    p[135] |= 0x80
    A = [[0] * 5 for _ in range(5)]
    for i in range(17):
        A[i % 5][i // 5] ^= int.from_bytes(p[8 * i : 8 * i + 8], "little")
    for rc in RC:
        C = [A[x][0] ^ A[x][1] ^ A[x][2] ^ A[x][3] ^ A[x][4] for x in range(5)]
        Dd = [C[(x - 1) % 5] ^ rol(C[(x + 1) % 5], 1) for x in range(5)]
        A = [[A[x][y] ^ Dd[x] for y in range(5)] for x in range(5)]
        x, y, c = 1, 0, A[1][0]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            c, A[x][y] = A[x][y], rol(c, (t + 1) * (t + 2) // 2 % 64)
        for y in range(5):
            T = [A[x][y] for x in range(5)]
            for x in range(5):
                A[x][y] = T[x] ^ (~T[(x + 1) % 5] & M & T[(x + 2) % 5])
        A[0][0] ^= rc
    return b"".join(A[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


@kind("eth", "CRYPTO")
def _(r):
    h = rs(r, 40, HX)
    k = keccak(h.encode()).hex()
    return "0x" + (h if r.random() < 0.25 else "".join(c.upper() if int(k[i], 16) > 7 else c for i, c in enumerate(h)))


@kind("sol", "CRYPTO")
def _(r):
    return b58(rb(r, 32))


@kind("tron", "CRYPTO")
def _(r):
    return b58c(b"\x41" + rb(r, 20))


# ---- issued secrets
S = "SECRET_ISSUED"


def sec(name):
    return kind(name, S)


B32 = U + "234567"
sec("aws_key_id")(lambda r: "AKIA" + rs(r, 16, B32))
sec("aws_secret")(lambda r: b64(rb(r, 30)))
sec("aws_session")(lambda r: "IQoJb3JpZ2luX2Vj" + b64(rb(r, 150)))
sec("gcp_api_key")(lambda r: "AIzaSy" + rs(r, 33, B64U))
sec("google_oauth")(lambda r: "GOCSPX-" + rs(r, 28, B64U))
sec("azure_storage")(lambda r: b64(rb(r, 64)))
sec("azure_client")(lambda r: rs(r, 3) + r.choice("78") + "Q~" + rs(r, 34, AN + "-_."))


def ghcrc(s):
    n = zlib.crc32(s.encode())
    o = ""
    while n:
        n, m = divmod(n, 62)
        o = B62[m] + o
    return o.rjust(6, "0")


def gh(p):
    def f(r):
        s = rs(r, 30)
        return p + s + ghcrc(s)

    return f


sec("github_pat")(gh("ghp_"))
sec("github_gho")(gh("gho_"))
sec("npm_token")(gh("npm_"))
sec("github_fine")(lambda r: "github_pat_11" + rs(r, 20, U + D) + "_" + rs(r, 59))
sec("gitlab_pat")(lambda r: "glpat-" + rs(r, 20, B64U))
sec("gitlab_runner")(lambda r: "glrt-" + rs(r, 20, B64U))
sec("slack_bot")(lambda r: "xoxb-%s-%s-%s" % (dg(r, 12), dg(r, 13), rs(r, 24)))
sec("slack_webhook")(
    lambda r: "https://hooks.slack.com/services/T0%s/B0%s/%s" % (rs(r, 9, U + D), rs(r, 9, U + D), rs(r, 24))
)
sec("discord_bot")(
    lambda r: b64(("1" + dg(r, 17)).encode()).rstrip("=") + "." + "G" + rs(r, 5, B64U) + "." + rs(r, 38, B64U)
)
sec("discord_webhook")(lambda r: "https://discord.com/api/webhooks/1%s/%s" % (dg(r, 18), rs(r, 68, B64U)))
sec("telegram_bot")(lambda r: r.choice("567") + dg(r, 9) + ":AA" + rs(r, 33, B64U))
sec("stripe_live")(lambda r: "sk_live_51" + rs(r, 97))
sec("stripe_rk")(lambda r: "rk_live_51" + rs(r, 97))
sec("stripe_whsec")(lambda r: "whsec_" + rs(r, 32))
sec("openai")(lambda r: "sk-proj-" + rs(r, 74, B64U) + "T3BlbkFJ" + rs(r, 74, B64U))
sec("anthropic")(lambda r: "sk-ant-api03-" + rs(r, 93, B64U) + "AA")
sec("huggingface")(lambda r: "hf_" + rs(r, 34, string.ascii_letters))
sec("groq")(lambda r: "gsk_" + rs(r, 52))
sec("mistral")(lambda r: rs(r, 32))
sec("sendgrid")(lambda r: "SG." + rs(r, 22, B64U) + "." + rs(r, 43, B64U))
sec("mailgun")(lambda r: "key-" + rs(r, 32, HX))
sec("mailchimp")(lambda r: rs(r, 32, HX) + "-us%d" % r.randint(1, 21))
sec("brevo")(lambda r: "xkeysib-" + rs(r, 64, HX) + "-" + rs(r, 16))
sec("mapbox")(
    lambda r: (
        "sk."
        + b64u(
            json.dumps(
                {"u": r.choice(FIRST) + r.choice(LAST), "a": "cl" + rs(r, 23, L + D)}, separators=(",", ":")
            ).encode()
        )
        + "."
        + rs(r, 22, B64U)
    )
)
sec("hex32")(lambda r: rs(r, 32, HX))
sec("hex40")(lambda r: rs(r, 40, HX))
sec("hex64")(lambda r: rs(r, 64, HX))
sec("newrelic")(lambda r: "NRAK-" + rs(r, 27, U + D))


@sec("grafana")
def _(r):
    s = "glsa_" + rs(r, 32)
    return s + "_%08x" % zlib.crc32(s.encode())


sec("dockerhub")(lambda r: "dckr_pat_" + rs(r, 27, B64U))
sec("pypi")(
    lambda r: (
        "pypi-"
        + b64u(
            b"\x02\x01\x08pypi.org\x02$"
            + "-".join(rs(r, n, HX) for n in (8, 4, 4, 4, 12)).encode()
            + b'\x00\x02,[2,"'
            + "-".join(rs(r, n, HX) for n in (8, 4, 4, 4, 12)).encode()
            + b'"]\x00\x00\x06 '
            + rb(r, 32)
        )
    )
)
sec("shopify")(lambda r: "shpat_" + rs(r, 32, HX))
sec("digitalocean")(lambda r: "dop_v1_" + rs(r, 64, HX))
sec("cloudflare")(lambda r: rs(r, 40, B64U))
sec("vault")(lambda r: "hvs.CAESI" + rs(r, 86, B64U))
sec("terraform")(lambda r: rs(r, 14) + ".atlasv1." + rs(r, 67))
sec("notion")(lambda r: "ntn_" + dg(r, 11) + rs(r, 35))
sec("airtable")(lambda r: "pat" + rs(r, 14) + "." + rs(r, 64, HX))
sec("linear")(lambda r: "lin_api_" + rs(r, 40))
sec("sentry")(lambda r: "sntryu_" + rs(r, 64, HX))
sec("deepl")(
    lambda r: (
        "-".join(rs(r, n, HX) for n in (8, 4))
        + "-4"
        + rs(r, 3, HX)
        + "-"
        + r.choice("89ab")
        + rs(r, 3, HX)
        + "-"
        + rs(r, 12, HX)
        + ":fx"
    )
)
sec("uuid_key")(
    lambda r: (
        "-".join(rs(r, n, HX) for n in (8, 4))
        + "-4"
        + rs(r, 3, HX)
        + "-"
        + r.choice("89ab")
        + rs(r, 3, HX)
        + "-"
        + rs(r, 12, HX)
    )
)


@sec("jwt")
def _(r):
    j = lambda o: b64u(json.dumps(o, separators=(",", ":")).encode())
    t = r.randint(1700000000, 1790000000)
    return (
        j({"alg": "HS256", "typ": "JWT"})
        + "."
        + j(
            {
                "sub": str(r.randint(1000, 99999)),
                "role": r.choice(["admin", "user", "service"]),
                "iat": t,
                "exp": t + 3600,
            }
        )
        + "."
        + b64u(rb(r, 32))
    )


def w64(b, n):
    return grp(b64(b), n, "\n")


def ln(b):
    return len(b).to_bytes(4, "big") + b


@sec("ssh_key")
def _(r):
    pub = rb(r, 32)
    kt = b"ssh-ed25519"
    pk = ln(kt) + ln(pub)
    c = rb(r, 4)
    pr = c + c + ln(kt) + ln(pub) + ln(rb(r, 32) + pub) + ln(b"deploy@ci")
    pr += bytes(range(1, 1 + (-len(pr) % 8)))
    return (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + w64(b"openssh-key-v1\0" + ln(b"none") + ln(b"none") + ln(b"") + (1).to_bytes(4, "big") + ln(pk) + ln(pr), 70)
        + "\n-----END OPENSSH PRIVATE KEY-----"
    )


def der(t, b):
    n = len(b)
    return (
        bytes([t]) + (bytes([n]) if n < 128 else (bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big"))) + b
    )


def di(n):
    return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def rsader(r):
    p = r.getrandbits(1024) | 1 | 3 << 1022
    q = r.getrandbits(1024) | 1 | 3 << 1022
    d = r.getrandbits(2046) | 1
    return der(48, b"".join(di(x) for x in (0, p * q, 65537, d, p, q, d % (p - 1), d % (q - 1), r.getrandbits(1023))))


sec("rsa_key")(lambda r: "-----BEGIN RSA PRIVATE KEY-----\n" + w64(rsader(r), 64) + "\n-----END RSA PRIVATE KEY-----")
sec("ec_key")(
    lambda r: (
        "-----BEGIN PRIVATE KEY-----\n"
        + w64(der(48, di(0) + der(48, bytes.fromhex("06032b6570")) + der(4, der(4, rb(r, 32)))), 64)
        + "\n-----END PRIVATE KEY-----"
    )
)
sec("gcp_sa_key")(
    lambda r: (
        "-----BEGIN PRIVATE KEY-----\\n"
        + w64(der(48, di(0) + der(48, bytes.fromhex("06092a864886f70d0101010500")) + der(4, rsader(r))), 64).replace(
            "\n", "\\n"
        )
        + "\\n-----END PRIVATE KEY-----\\n"
    )
)
sec("wireguard")(lambda r: b64(rb(r, 32)))
sec("age_key")(lambda r: bech32("age-secret-key-", to5(rb(r, 32))).upper())
sec("gen_pw")(lambda r: rs(r, r.choice([16, 20, 24, 32])))
sec("gen_pw_sym")(lambda r: rs(r, r.choice([18, 22]), AN + "!#%*_-+="))
sec("gen_b64")(lambda r: b64(rb(r, 32)))
sec("django")(lambda r: "django-insecure-" + rs(r, 50, L + D + "!@#$%^&*(-_=+)"))
sec("laravel")(lambda r: "base64:" + b64(rb(r, 32)))
sec("k8s_b64")(lambda r: b64(rs(r, 24).encode()))
