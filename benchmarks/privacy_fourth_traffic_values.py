import base64
import hashlib
import hmac as _hm
import json
import random
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
U = string.ascii_uppercase
L = string.ascii_lowercase
A62 = D + U + L
HX = "0123456789abcdef"


def c(r, al, n):
    return "".join(r.choice(al) for _ in range(n))


def d(r, n):
    return c(r, D, n)


def nz(r, n):
    return r.choice("123456789") + d(r, n - 1)


def by(r, n):
    return bytes(r.randrange(256) for _ in range(n))


def b64(b):
    return base64.b64encode(b).decode()


def b64u(b):
    return base64.urlsafe_b64encode(b).decode().rstrip("=")


def b62(n, w):
    s = ""
    while n:
        s = A62[n % 62] + s
        n //= 62
    return s.rjust(w, "0")


def grp(s, n, sep=" "):
    return sep.join(s[i : i + n] for i in range(0, len(s), n))


def luhn(s):
    t = 0
    for i, ch in enumerate(reversed(s)):
        x = int(ch)
        if i % 2 == 0:
            x = x * 2 - 9 if x > 4 else x * 2
        t += x
    return s + str(-t % 10)


def date(r):
    return r.randrange(52, 100), r.randrange(1, 13), r.randrange(1, 29)


FN = {
    "en": "james emily oliver sarah jack hannah mike laura priya dan rachel tom grace kevin amy".split(),
    "de": "lukas anna felix julia jonas katrin stefan lea markus sabine tobias heike".split(),
    "fr": "camille julien lucie antoine manon hugo chloe pierre sophie thomas".split(),
    "es": "carmen javier lucia pablo marta alvaro sara diego elena".split(),
    "it": "giulia marco chiara luca francesca matteo elisa paolo".split(),
}
LN = {
    "en": "carter hughes bennett wright patel morgan reyes foster sullivan osborne kaur mitchell".split(),
    "de": "schneider weber hoffmann krueger vogel brandt lehmann winkler seidel".split(),
    "fr": "lefevre moreau girard fournier lambert rousseau perrin chevalier".split(),
    "es": "navarro ortega castillo molina serrano vidal iglesias".split(),
    "it": "ferrari colombo ricci marino greco bruno conti".split(),
}
DM = {
    "en": ["gmail.com"] * 4
    + [
        "outlook.com",
        "yahoo.com",
        "hotmail.co.uk",
        "icloud.com",
        "brightwell-partners.com",
        "northgatelogistics.co.uk",
        "harlowdental.com",
        "kestrelsoft.io",
        "btinternet.com",
    ],
    "de": [
        "gmx.de",
        "web.de",
        "t-online.de",
        "gmail.com",
        "hausverwaltung-brandt.de",
        "praxis-am-markt.de",
        "nordwerk-gmbh.de",
    ],
    "fr": ["gmail.com", "orange.fr", "free.fr", "wanadoo.fr", "laposte.net", "cabinet-girard.fr", "atelier-vauban.fr"],
    "es": ["gmail.com", "hotmail.com", "hotmail.es", "gestoria-ortega.es", "telefonica.net", "talleresmolina.es"],
    "it": ["gmail.com", "libero.it", "virgilio.it", "studioferrari.it", "alice.it", "tiscali.it"],
}


def mail(r, l):
    f, n = r.choice(FN[l]), r.choice(LN[l])
    u = r.choice(
        [f + "." + n] * 4
        + [
            f[0] + n,
            f[0] + "." + n,
            f + n + str(r.randrange(10, 99)),
            f + "_" + n,
            n + "." + f,
            f + str(r.randrange(1960, 2004)),
        ]
    )
    return u + "@" + r.choice(DM[l])


for _l in FN:
    kind("email_" + _l, "EMAIL_ADDRESS")(lambda r, l=_l: mail(r, l))
P = "PHONE_NUMBER"


@kind("phone_us", P)
def _(r):
    a = r.choice("212 305 312 404 415 512 617 702 713 718 303 206 503 602 614 646 773 813 919 954".split())
    e = r.choice("23456789") + r.choice("02346789") + d(r, 1)
    n = d(r, 4)
    return r.choice(
        ["(%s) %s-%s"] * 3 + ["%s-%s-%s"] * 4 + ["%s.%s.%s", "+1 %s %s %s", "+1 (%s) %s-%s", "%s%s%s", "+1%s%s%s"]
    ) % (a, e, n)


@kind("phone_uk", P)
def _(r):
    if r.random() < 0.7:
        a = "7" + r.choice(["400", "512", "700", "711", "789", "810", "881", "903", "956", "973", "447", "586"])
        b = d(r, 6)
        return r.choice(["0%s %s %s"] * 3 + ["0%s%s%s"] * 3 + ["+44 %s %s %s", "+44%s%s%s", "+44 (0)%s %s %s"]) % (
            a,
            b[:3],
            b[3:],
        )
    a = r.choice(["161", "113", "117", "121", "131", "141"])
    b = r.choice("23456789") + d(r, 6)
    return r.choice(["0%s %s %s", "(0%s) %s %s", "+44 %s %s %s"]) % (a, b[:3], b[3:])


@kind("phone_fr", P)
def _(r):
    a = r.choice("66671234")
    n = d(r, 8)
    if a == "7":
        n = r.choice("5678") + n[1:]
    if a in "1234":
        n = r.choice({"1": "458", "2": "3459", "3": "2568", "4": "479"}[a]) + n[1:]
    p = grp(n, 2)
    return r.choice(
        ["0" + a + " " + p] * 4
        + ["0" + a + n] * 2
        + [
            "0" + a + "." + p.replace(" ", "."),
            "+33 " + a + " " + p,
            "+33" + a + n,
            "0" + a + "-" + p.replace(" ", "-"),
        ]
    )


@kind("phone_de", P)
def _(r):
    if r.random() < 0.65:
        a = r.choice(["151", "160", "170", "171", "172", "175", "176", "177", "178", "179", "152"])
        n = nz(r, 8 if a in ("151", "152", "176") else 7)
    else:
        a = r.choice(["30", "40", "89", "221", "69", "711", "341", "511", "251"])
        n = nz(r, r.choice([7, 8]) if len(a) == 2 else 7)
    return r.choice(["0%s %s", "0%s %s", "0%s/%s", "0%s-%s", "+49 %s %s", "+49%s%s", "0%s%s", "+49 (0)%s %s"]) % (a, n)


@kind("phone_es", P)
def _(r):
    n = r.choice(["6", "6", "6", "7"]) + d(r, 8) if r.random() < 0.75 else r.choice(["91", "93", "95", "96"]) + nz(r, 7)
    if n[0] == "7":
        n = "7" + r.choice("1234") + n[2:]
    return r.choice([grp(n, 3)] * 3 + [n] * 2 + ["+34 " + grp(n, 3), "+34" + n, n[:3] + " " + grp(n[3:], 2)])


@kind("phone_it", P)
def _(r):
    if r.random() < 0.75:
        a = r.choice("320 328 333 338 339 340 347 348 349 366 380 392".split())
        n = nz(r, 7)
    else:
        a = r.choice(["02", "06", "011", "051", "055"])
        n = nz(r, 7)
    return r.choice(["%s %s", "%s %s", "%s%s", "+39 %s %s", "%s-%s", "%s/%s"]) % (a, n)


@kind("phone_in", P)
def _(r):
    n = r.choice("9987") + d(r, 9)
    return r.choice(["+91 " + n[:5] + " " + n[5:], "+91-" + n, n, n[:5] + " " + n[5:], "+91" + n])


@kind("phone_nl", P)
def _(r):
    n = nz(r, 8)
    return r.choice(["06-" + n, "06 " + grp(n, 2), "06" + n, "+31 6 " + n, "+316" + n])


@kind("phone_pt", P)
def _(r):
    n = "9" + r.choice("1236") + d(r, 7)
    return r.choice([grp(n, 3), n, "+351 " + grp(n, 3)])


@kind("phone_ch", P)
def _(r):
    n = nz(r, 7)
    return r.choice(["07%s ", "+41 7%s "]) % r.choice("6789") + n[:3] + " " + n[3:5] + " " + n[5:]


@kind("card", "CREDIT_CARD")
def _(r):
    s = luhn(r.choice(["4", "4", "4", "51", "52", "53", "54", "55", "2223", "2720"]).ljust(1) + d(r, 14))
    s = luhn(s[:15])
    return r.choice([grp(s, 4)] * 4 + [s] * 2 + [grp(s, 4, "-")])


@kind("card_amex", "CREDIT_CARD")
def _(r):
    s = luhn(r.choice(["34", "37"]) + d(r, 12))
    return r.choice([s[:4] + " " + s[4:10] + " " + s[10:]] * 2 + [s])


def iban(r, cc, b, sp=0.7):
    n = int("".join(str(int(x, 36)) for x in b + cc + "00"))
    s = cc + "%02d" % (98 - n % 97) + b
    return grp(s, 4) if r.random() < sp else s


I = "IBAN_CODE"


@kind("iban_de", I)
def _(r):
    return iban(
        r,
        "DE",
        r.choice(["37040044", "50010517", "20050550", "10050000", "70150000", "43060967", "12030000"])
        + "0" * r.choice([0, 0, 1, 2])
        + d(r, 10)
        if 0
        else r.choice(["37040044", "50010517", "20050550", "10050000", "70150000", "43060967", "12030000"]) + d(r, 10),
    )


@kind("iban_fr", I)
def _(r):
    b, g, a = r.choice(["30004", "30003", "30002", "20041", "10278", "14508"]), d(r, 5), d(r, 11)
    return iban(r, "FR", b + g + a + "%02d" % (97 - (89 * int(b) + 15 * int(g) + 3 * int(a)) % 97))


@kind("iban_es", I)
def _(r):
    b = r.choice(["0049", "2100", "0182", "0081", "2085"])
    o = d(r, 4)
    a = d(r, 10)
    w = [1, 2, 4, 8, 5, 10, 9, 7, 3, 6]

    def cd(x):
        k = 11 - sum(int(p) * q for p, q in zip(x, w, strict=False)) % 11
        return str({10: 1, 11: 0}.get(k, k))

    return iban(r, "ES", b + o + cd("00" + b + o) + cd(a) + a)


@kind("iban_it", I)
def _(r):
    x = r.choice(["03069", "02008", "05034", "07601", "01030"]) + d(r, 5) + "%012d" % r.randrange(10**8)
    return iban(r, "IT", U[sum(cfodd[int(ch)] if i % 2 == 0 else int(ch) for i, ch in enumerate(x)) % 26] + x, 0.4)


cfodd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]


def elf(r, n):
    while 1:
        s = nz(r, n)
        if sum(int(x) * (n - i) for i, x in enumerate(s)) % 11 == 0:
            return s
    return None


@kind("iban_nl", I)
def _(r):
    return iban(r, "NL", r.choice(["INGB", "RABO", "ABNA"]) + "0" + elf(r, 9))


@kind("iban_gb", I)
def _(r):
    return iban(r, "GB", r.choice(["BARC20", "LOYD30", "NWBK60", "MIDL40"]) + d(r, 4) + d(r, 8))


@kind("iban_be", I)
def _(r):
    n = nz(r, 10)
    return iban(r, "BE", n + "%02d" % (int(n) % 97 or 97))


@kind("iban_pt", I)
def _(r):
    n = r.choice(["0035", "0033", "0007", "0010"]) + d(r, 15)
    return iban(r, "PT", n + "%02d" % (98 - int(n + "00") % 97))


B = "BANK_ACCOUNT"


@kind("uk_sort_code", B)
def _(r):
    s = r.choice(["20", "30", "40", "60", "09", "77", "11"]) + d(r, 4)
    return r.choice([grp(s, 2, "-")] * 5 + [s, grp(s, 2)])


@kind("uk_account", B)
def _(r):
    return d(r, 8)


@kind("us_routing", B)
def _(r):
    s = r.choice(["0210", "1210", "0260", "0310", "1110", "0720", "0630", "3222"]) + d(r, 4)
    return s + str(-sum(int(x) * w for x, w in zip(s, [3, 7, 1] * 3, strict=False)) % 10)


@kind("us_account", B)
def _(r):
    return nz(r, r.choice([9, 10, 10, 12]))


@kind("in_account", B)
def _(r):
    return nz(r, r.choice([11, 12, 14]))


G = "GOVERNMENT_ID"


@kind("us_ssn", G)
def _(r):
    a = r.choice([x for x in range(1, 900) if x != 666])
    s = "%03d-%02d-%04d" % (a, r.randrange(1, 100), r.randrange(1, 10000))
    return r.choice([s] * 7 + [s.replace("-", " "), s.replace("-", "")])


@kind("us_itin", G)
def _(r):
    return "9%s-%d-%s" % (d(r, 2), r.choice([*list(range(70, 89)), 90, 91, 92, 94, 95, 96, 97, 98, 99]), d(r, 4))


@kind("us_passport", G)
def _(r):
    return r.choice([r.choice("5643") + d(r, 8), "A" + d(r, 8)])


@kind("us_dl_ca", G)
def _(r):
    return r.choice("BCDEFNY") + d(r, 7)


@kind("us_dl_fl", G)
def _(r):
    s = r.choice(U) + d(r, 12)
    return r.choice([s, "%s-%s-%s-%s-%s" % (s[:4], s[4:7], s[7:9], s[9:12], s[12])])


@kind("us_dl_ny", G)
def _(r):
    s = nz(r, 9)
    return r.choice([s, grp(s, 3)])


@kind("uk_nino", G)
def _(r):
    while 1:
        p = r.choice("ABCEGHJKLMNOPRSTWXYZ") + r.choice("ABCEGHJKLMNPRSTWXYZ")
        if p not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"):
            break
    n = d(r, 6)
    e = r.choice("ABCD")
    return r.choice([p + " " + grp(n, 2) + " " + e] * 3 + [p + n + e] * 2)


@kind("uk_nhs", G)
def _(r):
    while 1:
        s = r.choice("4679") + d(r, 8)
        k = 11 - sum(int(x) * (10 - i) for i, x in enumerate(s)) % 11
        k = 0 if k == 11 else k
        if k < 10:
            s += str(k)
            return r.choice([s[:3] + " " + s[3:6] + " " + s[6:]] * 3 + [s, s[:3] + "-" + s[3:6] + "-" + s[6:]])
    return None


@kind("uk_passport", G)
def _(r):
    return r.choice("5123") + d(r, 8)


@kind("uk_dl", G)
def _(r):
    y, m, dd = date(r)
    n = r.choice(LN["en"]).upper()[:5].ljust(5, "9")
    return (
        n
        + str(y // 10)
        + "%02d" % (m + r.choice([0, 50]))
        + "%02d" % dd
        + str(y % 10)
        + r.choice(U)
        + r.choice(U + "99")
        + "9"
        + c(r, U, 2)
    )


@kind("fr_nir", G)
def _(r):
    y, m, _d = date(r)
    s = (
        r.choice("12")
        + "%02d%02d" % (y, m)
        + r.choice("75 13 69 59 33 44 31 67 06 92 93".split())
        + "%03d%03d" % (r.randrange(1, 400), r.randrange(1, 500))
    )
    k = "%02d" % (97 - int(s) % 97)
    return r.choice(
        ["%s %s %s %s %s %s %s" % (s[0], s[1:3], s[3:5], s[5:7], s[7:10], s[10:], k)] * 3 + [s + k] * 2 + [s + " " + k]
    )


@kind("fr_cni", G)
def _(r):
    return r.choice(
        [
            r.choice(["13", "15", "17", "18", "19"])
            + "%02d" % r.randrange(1, 13)
            + r.choice("75 69 13 33 59 92".split())
            + d(r, 6),
            c(r, "CDFGHJKLMNPRTVWXYZ", 1) + c(r, "CDFGHJKLMNPRTVWXYZ0123456789", 7) + d(r, 1),
        ]
    )


@kind("fr_passport", G)
def _(r):
    return r.choice(["15", "17", "19", "20", "22"]) + c(r, "ACDEFHKPRTV", 2) + d(r, 5)


@kind("fr_fiscal", G)
def _(r):
    s = r.choice("0123") + d(r, 9)
    s += "%03d" % (int(s) % 511)
    return r.choice([s, s, s[:2] + " " + s[2:4] + " " + s[4:7] + " " + s[7:10] + " " + s[10:]])


@kind("de_steuerid", G)
def _(r):
    x = list(D)
    r.shuffle(x)
    x = x[:9]
    x.append(r.choice(x))
    while 1:
        r.shuffle(x)
        if x[0] != "0":
            break
    p = 10
    for ch in x:
        s = (int(ch) + p) % 10 or 10
        p = s * 2 % 11
    s = "".join(x) + str((11 - p) % 10)
    return r.choice([s[:2] + " " + s[2:5] + " " + s[5:8] + " " + s[8:]] * 2 + [s] * 2)


@kind("de_svnr", G)
def _(r):
    y, m, dd = date(r)
    s = (
        r.choice("10 12 13 15 50 52 53 65".split())
        + "%02d%02d%02d" % (dd, m, y)
        + r.choice("ABDEFGHKLMPRSTW")
        + "%02d" % r.randrange(0, 99)
    )
    q = s[:8] + "%02d" % (U.index(s[8]) + 1) + s[9:]
    k = sum(sum(map(int, str(int(x) * w))) for x, w in zip(q, [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1], strict=False)) % 10
    s += str(k)
    return r.choice([s, s, s[:2] + " " + s[2:8] + " " + s[8] + " " + s[9:]])


def deid(r, f):
    s = f + c(r, "CFGHJKLMNPRTVWXYZ0123456789", 8)
    return s, str(sum(int(x, 36) * [7, 3, 1][i % 3] for i, x in enumerate(s)) % 10)


@kind("de_perso", G)
def _(r):
    s, k = deid(r, r.choice("LLLTMNPRVWXYZ"[:9]))
    return s + r.choice(["", "", k])


@kind("de_pass", G)
def _(r):
    return deid(r, r.choice("CFGHJK"))[0]


DN = "TRWAGMYFPDXBNJZSQVHLCKE"


@kind("es_dni", G)
def _(r):
    s = r.choice(D[0:8]) + d(r, 7)
    k = DN[int(s) % 23]
    return r.choice([s + k] * 4 + [s + "-" + k, s[:2] + "." + s[2:5] + "." + s[5:] + "-" + k])


@kind("es_nie", G)
def _(r):
    p = r.choice("XYYZ")
    s = d(r, 7)
    k = DN[int(str("XYZ".index(p)) + s) % 23]
    return r.choice([p + s + k] * 2 + [p + "-" + s + "-" + k])


@kind("es_pasaporte", G)
def _(r):
    return c(r, "ABCDFHPX", 1) + c(r, U, 2) + d(r, 6)


@kind("it_cf", G)
def _(r):
    sn = r.choice("FRR CLM RCC MRN GRC BRN CNT RSS SPS BNC".split())
    n = r.choice("GLI MRC CHR LCU FNC MTT LSE PLA GPP".split())
    y, m, dd = date(r)
    s = (
        sn
        + n
        + "%02d" % y
        + "ABCDEHLMPRST"[m - 1]
        + "%02d" % (dd + r.choice([0, 40]))
        + r.choice("H501 F205 L219 D612 A944 F839 G273 C351".split())
    )
    return (
        s
        + U[
            sum(
                cfodd[int(x) if x.isdigit() else U.index(x)] if i % 2 == 0 else (int(x) if x.isdigit() else U.index(x))
                for i, x in enumerate(s)
            )
            % 26
        ]
    )


@kind("it_patente", G)
def _(r):
    return r.choice(
        [r.choice(["MI", "RM", "TO", "NA", "BO"]) + d(r, 7) + r.choice(U), "U1" + c(r, U, 1) + d(r, 6) + c(r, U, 1)]
    )


@kind("it_ci", G)
def _(r):
    return r.choice(["CA" + d(r, 5) + c(r, U, 2)] * 2 + ["A" + r.choice("XVTYU") + d(r, 7)])


@kind("it_passaporto", G)
def _(r):
    return "Y" + r.choice("ABC") + d(r, 7)


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
VP = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
for _i in range(2, 8):
    VP.append([VP[_i - 1][VP[1][j]] for j in range(10)])


def verh(s):
    k = 0
    for i, x in enumerate(reversed(s)):
        k = VD[k][VP[i % 8][int(x)]]
    return k


@kind("in_aadhaar", G)
def _(r):
    s = r.choice("23456789") + d(r, 10)
    s = next(s + x for x in D if verh(s + x) == 0)
    return r.choice([grp(s, 4)] * 3 + [s, grp(s, 4, "-")])


@kind("in_pan", G)
def _(r):
    return c(r, U, 3) + "P" + c(r, U, 1) + "%04d" % r.randrange(1, 9999) + c(r, U, 1)


@kind("in_passport", G)
def _(r):
    return r.choice("JKLMNPRSTVZ") + nz(r, 7)


@kind("in_voter", G)
def _(r):
    return c(r, U, 3) + d(r, 7)


@kind("other_nl_bsn", G)
def _(r):
    while 1:
        s = r.choice("12") + d(r, 8)
        if (sum(int(x) * w for x, w in zip(s, [9, 8, 7, 6, 5, 4, 3, 2, -1], strict=False))) % 11 == 0:
            return s
    return None


@kind("other_pt_nif", G)
def _(r):
    s = r.choice("12") + d(r, 7)
    k = 11 - sum(int(x) * (9 - i) for i, x in enumerate(s)) % 11
    s += str(0 if k > 9 else k)
    return r.choice([s, s, grp(s, 3)])


@kind("other_be_nrn", G)
def _(r):
    y, m, dd = date(r)
    q = "%02d%02d%02d" % (y, m, dd)
    z = "%03d" % r.randrange(1, 998)
    return "%02d.%02d.%02d-%s.%02d" % (y, m, dd, z, 97 - int(q + z) % 97)


@kind("other_ch_ahv", G)
def _(r):
    s = "756" + d(r, 9)
    s += str(-sum(int(x) * (1 + 2 * (i % 2)) for i, x in enumerate(s)) % 10)
    return "%s.%s.%s.%s" % (s[:3], s[3:7], s[7:11], s[11:])


@kind("other_br_cpf", G)
def _(r):
    s = d(r, 9)
    for n in (10, 11):
        k = 11 - sum(int(x) * (n - i) for i, x in enumerate(s)) % 11
        s += str(0 if k > 9 else k)
    return r.choice(["%s.%s.%s-%s" % (s[:3], s[3:6], s[6:9], s[9:])] * 3 + [s])


@kind("other_ca_sin", G)
def _(r):
    s = luhn(r.choice("1234567") + d(r, 7))
    return r.choice([grp(s, 3), grp(s, 3, "-"), s])


@kind("other_pl_pesel", G)
def _(r):
    y, m, dd = date(r)
    s = "%02d%02d%02d" % (y, m, dd) + d(r, 4)
    return s + str(-sum(int(x) * w for x, w in zip(s, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3], strict=False)) % 10)


@kind("ipv4", "IP_ADDRESS")
def _(r):
    return r.choice(
        [
            lambda: (
                "%d.%d.%d.%d"
                % (
                    r.choice([81, 84, 87, 91, 93, 78, 82, 178, 185, 188, 203, 212, 51, 34, 52]),
                    r.randrange(256),
                    r.randrange(256),
                    r.randrange(1, 255),
                )
            )
        ]
        * 3
        + [
            lambda: "192.168.%d.%d" % (r.choice([0, 1, 1, 2, 10, 178]), r.randrange(2, 255)),
            lambda: "10.%d.%d.%d" % (r.randrange(60), r.randrange(256), r.randrange(2, 255)),
        ]
    )()


@kind("ipv6", "IP_ADDRESS")
def _(r):
    import ipaddress

    p = r.choice(["2a02:8109:", "2003:e5:", "2a01:cb04:", "2600:1700:", "2a00:23c7:"])
    h = lambda: "%x" % r.randrange(1, 65536)
    return str(
        ipaddress.ip_address(
            r.choice([p + ":".join(h() for _ in range(6)), p + h() + ":" + h() + "::" + r.choice(["1", "2", h()])])
        )
    )


@kind("mac", "MAC_ADDRESS")
def _(r):
    b = r.choice(["3c22fb", "b827eb", "a4c361", "001a2b", "f4f5d8", "d83add", "e0d55e", "00155d"]) + c(r, HX, 6)
    s = grp(b, 2, ":")
    return r.choice([s] * 4 + [s.upper()] * 2 + [s.upper().replace(":", "-")] * 2 + [grp(b, 4, ".")])


B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def b58(b):
    n = int.from_bytes(b, "big")
    s = ""
    while n:
        s = B58[n % 58] + s
        n //= 58
    return "1" * (len(b) - len(b.lstrip(b"\0"))) + s


def b58c(b):
    return b58(b + hashlib.sha256(hashlib.sha256(b).digest()).digest()[:4])


def pm(v):
    k = 1
    for x in v:
        t = k >> 25
        k = (k & 0x1FFFFFF) << 5 ^ x
        for i, g in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
            k ^= g if t >> i & 1 else 0
    return k


@kind("btc", "CRYPTO")
def _(r):
    if r.random() < 0.3:
        return b58c(b"\0" + by(r, 20))
    v = [0] + [r.randrange(32) for _ in range(32)]
    h = [3, 3, 0, 2, 3]
    k = pm(h + v + [0] * 6) ^ 1
    return "bc1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[x] for x in v + [k >> 5 * (5 - i) & 31 for i in range(6)])


@kind("eth", "CRYPTO")
def _(r):
    return "0x" + c(r, HX, 40)


@kind("tron", "CRYPTO")
def _(r):
    return b58c(b"\x41" + by(r, 20))


@kind("sol", "CRYPTO")
def _(r):
    return b58(by(r, 32))


S = "SECRET_ISSUED"


def tok(name, f):
    kind(name, S)(f)


tok("aws_key_id", lambda r: "AKIA" + c(r, U + "234567", 16))
tok("aws_secret", lambda r: b64(by(r, 30)))
tok("gcp_key", lambda r: "AIza" + "Sy" + c(r, "ABCD", 1) + c(r, A62 + "-_", 32))
tok("google_oauth", lambda r: "GOCSPX-" + c(r, A62 + "-_", 28))
tok("azure_storage", lambda r: b64(by(r, 64)))
tok("azure_client", lambda r: c(r, A62, 3) + "8Q~" + c(r, A62 + "_.~-", 34))


def ghp(r, p):
    s = c(r, A62, 30)
    return p + s + b62(zlib.crc32(s.encode()), 6)


tok("github_pat", lambda r: ghp(r, "ghp_"))
tok("github_fine", lambda r: "github_pat_11" + c(r, U + D, 20) + "_" + c(r, A62, 59))
tok("npm", lambda r: ghp(r, "npm_"))
tok("gitlab", lambda r: "glpat-" + c(r, A62 + "-_", 20))
tok("slack_bot", lambda r: "xoxb-" + nz(r, 12) + "-" + nz(r, 13) + "-" + c(r, A62, 24))
tok(
    "slack_hook",
    lambda r: "https://hooks.slack.com/services/T0" + c(r, U + D, 9) + "/B0" + c(r, U + D, 9) + "/" + c(r, A62, 24),
)
tok("discord_hook", lambda r: "https://discord.com/api/webhooks/1" + d(r, 18) + "/" + c(r, A62 + "-_", 68))
tok("discord_bot", lambda r: b64u(("1" + d(r, 17)).encode()) + ".G" + c(r, A62, 5) + "." + c(r, A62 + "-_", 38))
tok("telegram", lambda r: nz(r, 10) + ":AA" + c(r, A62 + "-_", 33))
tok("stripe", lambda r: "sk_live_51" + c(r, A62, 97))
tok("stripe_wh", lambda r: "whsec_" + c(r, A62, 32))
tok("openai", lambda r: "sk-proj-" + c(r, A62 + "-_", 74) + "T3BlbkFJ" + c(r, A62 + "-_", 74))
tok("anthropic", lambda r: "sk-ant-api03-" + c(r, A62 + "-_", 93) + "AA")
tok("huggingface", lambda r: "hf_" + c(r, U + L, 34))
tok("groq", lambda r: "gsk_" + c(r, A62, 52))
tok("sendgrid", lambda r: "SG." + c(r, A62 + "-_", 22) + "." + c(r, A62 + "-_", 43))
tok("mailgun", lambda r: c(r, HX, 32) + "-" + c(r, HX, 8) + "-" + c(r, HX, 8))
tok("brevo", lambda r: "xkeysib-" + c(r, HX, 64) + "-" + c(r, A62, 16))
tok("twilio", lambda r: c(r, HX, 32))
tok("datadog", lambda r: c(r, HX, 32))
tok("newrelic", lambda r: "NRAK-" + c(r, U + D, 27))
tok("shopify", lambda r: "shpat_" + c(r, HX, 32))
tok("digitalocean", lambda r: "dop_v1_" + c(r, HX, 64))
tok("docker", lambda r: "dckr_pat_" + c(r, A62 + "-_", 27))
tok("airtable", lambda r: "pat" + c(r, A62, 14) + "." + c(r, HX, 64))
tok("vault", lambda r: "hvs.CAESI" + c(r, A62 + "-_", 86))
tok("cloudflare", lambda r: c(r, A62 + "-_", 40))


def _gl(r):
    s = "glsa_" + c(r, A62, 32)
    return s + "_%08x" % zlib.crc32(s.encode())


tok("grafana", _gl)
tok(
    "uuid_key",
    lambda r: "%s-%s-4%s-%s%s-%s" % (c(r, HX, 8), c(r, HX, 4), c(r, HX, 3), c(r, "89ab", 1), c(r, HX, 3), c(r, HX, 12)),
)
tok("hex64", lambda r: c(r, HX, 64))
tok("hex32", lambda r: c(r, HX, 32))
tok("rand_pw", lambda r: c(r, A62, r.choice([16, 20, 24, 32])))
tok(
    "rand_pw_sym",
    lambda r: c(r, A62, 4) + "".join(c(r, A62, 3) + c(r, "!#%*-_+=?", 1) for _ in range(3)) + c(r, A62, 3),
)
tok("b64_32", lambda r: b64(by(r, 32)))
tok("django", lambda r: c(r, L + D + "!@#%^&*(-_=+)", 50))


def _jwt(r):
    t = r.randrange(1700000000, 1760000000)
    h = {"alg": "HS256", "typ": "JWT"}
    p = {"sub": nz(r, 6), "role": r.choice(["admin", "user", "service_role"]), "iat": t, "exp": t + 86400}
    s = b64u(json.dumps(h, separators=(",", ":")).encode()) + "." + b64u(json.dumps(p, separators=(",", ":")).encode())
    return s + "." + b64u(_hm.new(by(r, 32), s.encode(), hashlib.sha256).digest())


tok("jwt", _jwt)


def pem(b, t):
    return "-----BEGIN %s-----\n" % t + grp(b64(b), 64, "\n") + "\n-----END %s-----" % t


def prime(r, n):
    sm = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97]
    while 1:
        p = r.getrandbits(n) | 1 | 3 << n - 2
        if all(p % q for q in sm) and p % 65537 != 1 and all(pow(a, p - 1, p) == 1 for a in (2, 3, 5)):
            return p
    return None


def der(t, b):
    n = len(b)
    l = bytes([n]) if n < 128 else (bytes([0x81, n]) if n < 256 else bytes([0x82]) + n.to_bytes(2, "big"))
    return bytes([t]) + l + b


def di(n):
    return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


_rsa = {}


def _rk(r):
    k = r.randrange(4)
    if k not in _rsa:
        q = random.Random(9100 + k)
        a, b = prime(q, 1024), prime(q, 1024)
        e = 65537
        x = pow(e, -1, (a - 1) * (b - 1))
        _rsa[k] = pem(
            der(0x30, b"".join(map(di, [0, a * b, e, x, a, b, x % (a - 1), x % (b - 1), pow(b, -1, a)]))),
            "RSA PRIVATE KEY",
        )
    return _rsa[k]


tok("rsa_key", _rk)
tok(
    "ec_key",
    lambda r: pem(
        bytes.fromhex("30310201010420") + by(r, 32) + bytes.fromhex("a00a06082a8648ce3d030107"), "EC PRIVATE KEY"
    ),
)


def edpub(seed):
    p = 2**255 - 19
    dd = -121665 * pow(121666, -1, p) % p
    h = bytearray(hashlib.sha512(seed).digest()[:32])
    h[0] &= 248
    h[31] = h[31] & 127 | 64
    n = int.from_bytes(h, "little")
    y = 4 * pow(5, -1, p) % p
    x2 = (y * y - 1) * pow(dd * y * y + 1, -1, p) % p
    x = pow(x2, (p + 3) // 8, p)
    if (x * x - x2) % p:
        x = x * pow(2, (p - 1) // 4, p) % p
    if x & 1:
        x = p - x

    def add(P, Q):
        a, b = P
        e, f = Q
        k = dd * a * e * b * f % p
        return (a * f + e * b) * pow(1 + k, -1, p) % p, (b * f + a * e) * pow(1 - k, -1, p) % p

    R = (0, 1)
    Q = (x, y)
    while n:
        if n & 1:
            R = add(R, Q)
        Q = add(Q, Q)
        n >>= 1
    return (R[1] | (R[0] & 1) << 255).to_bytes(32, "little")


def _os(r):
    sd = by(r, 32)
    pb = edpub(sd)
    st = lambda b: len(b).to_bytes(4, "big") + b
    ck = by(r, 4)
    pk = st(b"ssh-ed25519") + st(pb)
    pv = ck + ck + pk + st(sd + pb) + st(b"deploy@build")
    pv += bytes(range(1, (-len(pv)) % 8 + 1))
    b = b64(b"openssh-key-v1\0" + st(b"none") + st(b"none") + st(b"") + (1).to_bytes(4, "big") + st(pk) + st(pv))
    return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + grp(b, 70, "\n") + "\n-----END OPENSSH PRIVATE KEY-----"


tok("openssh_key", _os)
