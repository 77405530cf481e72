"""What the shipped analyzer finds, and what it leaves alone. All values are made up."""

import random
import string
import time

import pytest

from benchmarks.privacy_unseen import unseen_values
from eyrie.privacy.accounts import CardNumberRecognizer, luhn_valid
from eyrie.privacy.engine import Analyzer
from eyrie.privacy.mail_addresses import SpelledMailRecognizer

THRESHOLD = 0.4
# Between a name that merely occurs and one that users give as their own: as in params.yaml for the sample prompts.
DISCLOSED = 0.92
ALNUM = string.ascii_letters + string.digits


def found(analyzer: Analyzer, text: str) -> set[str]:
    return {finding.entity for finding in analyzer.find(text, score_threshold=THRESHOLD)}


def covers(analyzer: Analyzer, entity: str, value: str, text: str) -> bool:
    start = text.index(value)
    return any(
        finding.entity == entity and finding.start <= start and finding.end >= start + len(value)
        for finding in analyzer.find(text, score_threshold=THRESHOLD)
    )


def token(length: int, alphabet: str = ALNUM) -> str:
    return "a1" + "".join(random.Random(length).choices(alphabet, k=length - 2))


# Prefixes are joined here so that secret scanners leave this file alone.
SECRETS = {
    "openai": "sk" + "-proj-" + token(48),
    "openai legacy": "sk" + "-" + token(48),
    "anthropic": "sk" + "-ant-api03-" + token(90),
    "google": "AI" + "za" + token(35),
    "github classic": "gh" + "p_" + token(36),
    "github fine-grained": "github" + "_pat_" + token(22) + "_" + token(59),
    "gitlab": "gl" + "pat-" + token(20),
    "slack": "xo" + "xb-" + "123456789012-" + token(24),
    "aws": "AK" + "IA" + "ABCDEFGHIJKLMNOP",
    "aws secret": "aws_secret" + "_access_key = " + token(40),
    "hugging face": "hf" + "_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "npm": "np" + "m_" + token(36),
    "stripe": "sk" + "_live_" + token(24),
    "vault": "hv" + "s." + token(24),
    "jwt": "ey" + "J" + token(20) + ".ey" + "J" + token(30) + "." + token(40),
    "private key": "-----BEGIN RSA PRIVATE" + " KEY-----\nMIIE\n-----END RSA PRIVATE" + " KEY-----",
    "cut private key": "-----BEGIN PRIVATE" + " KEY-----\nMIIEabc",
    "bearer": "Authorization: Bear" + "er " + token(30),
    "url password": "postgres://admin:" + "hunter2x@db.internal/prod",
    "assigned": 'API_KEY = "' + token(24) + '"',
    "in words": "my wifi password is " + "hunter2x",
}


@pytest.mark.parametrize("issuer", SECRETS)
def test_every_secret_shape_is_found_inside_a_sentence(analyzer: Analyzer, issuer: str) -> None:
    assert "SECRET" in found(analyzer, f"Why does this fail? {SECRETS[issuer]} I tried twice.")


def test_every_spelling_of_the_second_evaluation_set_is_found_with_its_type(analyzer: Analyzer) -> None:
    cases = unseen_values(copies=2, seed=5)
    missed = [
        case.text
        for case in cases
        for start, end, entity in case.spans
        if not any(
            item.start <= start and item.end >= end and (item.entity == entity or "PASSPORT" in item.entity)
            for item in analyzer.find(case.text, score_threshold=THRESHOLD)
        )
    ]
    assert missed == []
    assert len({case.group for case in cases}) > 80


@pytest.mark.parametrize(
    "text",
    [
        "api_key = os.environ['API_KEY']",
        'client = OpenAI(api_key="YOUR_API_KEY")',
        "password = getpass('Password: ')",
        "Connect with postgres://user:password@host/db or mysql://{user}:{password}@{host}",
        "Use sk-learn or scikit-learn-contrib-extras-and-more for this?",
        "What does `Authorization: Bearer <token>` mean?",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "id 123e4567-e89b-12d3-a456-426614174000",
        "My password is too short, how long should it be?",
        "class Login:\n    token: str = Field(max_length=64)\n    password: str\n",
        'MAX_TOKENS=16384\nAPI_KEY=os.environ["KEY_1"]\nSECRET_KEY=$APP_SECRET_2\nTOKEN=12345678',
        "env:\n  password: ${DB_PASSWORD_1}\n  secret: secretKeyRef\n  token: <token-1>",
        "mysql --password=$MYSQL_PWD1 --user root and curl -u user:<pass1> https://x",
        "Set `x-api-key: YOUR-API-KEY-GOES-HERE` in the header.",
        "Le mot de passe est trop court, que faire ?",  # codespell:ignore mot
    ],
)
def test_code_about_secrets_is_not_a_secret(analyzer: Analyzer, text: str) -> None:
    assert "SECRET" not in found(analyzer, text)


@pytest.mark.parametrize(
    "number",
    [
        "(415) 555-0132",
        "+1 415-555-0132",
        "415-555-0132",
        "415.555.0132",
        "+44 20 7946 0958",
        "020 7946 0958",
        "+49 30 901820",
        "030 901820-0",
        "01 23 45 67 89",
        "+33 1 23 45 67 89",
        "+91 98765 43210",
        "+34 912 345 678",
        "+55 11 91234-5678",
    ],
)
def test_phone_numbers_are_found_without_a_context_word(analyzer: Analyzer, number: str) -> None:
    assert covers(analyzer, "PHONE_NUMBER", number, f"Write a note that says {number} and be polite.")


def test_internet_addresses_of_both_versions_are_found(analyzer: Analyzer) -> None:
    for address in ("10.20.30.40", "fe80::1", "2001:db8::8a2e:370:7334", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"):
        assert covers(analyzer, "IP_ADDRESS", address, f"Why is {address} not reachable?")


def test_bare_digits_are_a_phone_number_only_beside_a_context_word(analyzer: Analyzer) -> None:
    assert "PHONE_NUMBER" in found(analyzer, "You can call me on my mobile 9876543210 after six.")
    assert "PHONE_NUMBER" not in found(analyzer, "What is the remainder of 9876543210 divided by 7?")


@pytest.mark.parametrize(
    "text",
    [
        "Compute 12345678 + 87654321.",
        "The meeting on 2024-01-15 10:30 moved to 2024-02-20.",
        "pi is 3.14159265358979",
        "Sort 10 20 30 40 50 60 in descending order.",
        "matrix [[1, 2, 3], [4, 5, 6], [7, 8, 9]]",
        "Between 1914-1918 and 1939-1945, what changed?",
        "x = 0x1f2e3d4c; y = 1_000_000_000",
        "Solve 3x^2 - 12x + 9 = 0 and 1500 / 25 * 300.",
        "for i in range(1000000): total += i * 31415926",
        "The product of 123456 and 654321 is what? 80779853376",
        "SELECT id FROM t WHERE created > 1700000000 LIMIT 100000",
        "TimeStamp: 1534799079, CreateDate: 1587081768, account 987654321012",
        "2021-01-08T16:51:07.352000-08:00 and 2016-12-31 12:00:04.010000+00:00",
        "mean = [0.48145466, 0.4578275, 0.40821073]; std = 0.26862954 0.26130258",
        "np.arange(6)[::2], x[::-1], a::b, std::cafe, ::1 and 127.0.0.1 with mask 255.255.255.0",
        "https://arxiv.org/pdf/0904.2728.pdf",
        "/96c766ce-43d2-f9c9-954c-647334391198",
        '{"SecretArn": "arn:aws:secretsmanager:us-west-2:mySecret1", "Key": "AKIAIOSFODNN7EXAMPLE"}',
    ],
)
def test_numbers_of_code_and_maths_are_not_personal_data(analyzer: Analyzer, text: str) -> None:
    assert found(analyzer, text) == set()


@pytest.mark.parametrize(
    "number",
    [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5555555555554444",
        "2223003122003222",  # 2-series Mastercard
        "378282246310005",
        "6759649826438453",  # Maestro
        "6011000990139424",
        "3530111333300000",
    ],
)
def test_cards_of_every_issuer_are_found(analyzer: Analyzer, number: str) -> None:
    assert covers(analyzer, "CREDIT_CARD", number, f"Is {number} still valid?")


@pytest.mark.parametrize("gap", ["_", "/", "%20", "+", "\t", "\n", "\r\n", " _ "])
@pytest.mark.parametrize(
    "groups",
    [
        ["4111", "1111", "1111", "1111"],
        ["5500", "0000", "0000", "0004"],
        ["3782", "822463", "10005"],
        ["3056", "930902", "5904"],
    ],
)
@pytest.mark.parametrize("text", ["pan={}", "Kreditkarte {} bis 04/28"])
def test_a_card_is_found_with_any_gap_between_its_groups(
    analyzer: Analyzer, gap: str, groups: list[str], text: str
) -> None:
    card = gap.join(groups)
    assert covers(analyzer, "CREDIT_CARD", card, text.format(card))


@pytest.mark.parametrize(
    "text", ["7,4111_1111_1111_1111", "100%4111111111111111", "q=card%204111111111111111", "4111%201111%201111%201111"]
)
def test_a_card_is_found_behind_a_comma_or_a_percent_sign(analyzer: Analyzer, text: str) -> None:
    assert covers(analyzer, "CREDIT_CARD", text[text.index("4111") :], text)


def test_a_card_is_found_where_a_line_ends_inside(analyzer: Analyzer) -> None:
    assert covers(analyzer, "CREDIT_CARD", "4111 1111\n1111 1111", "my card 4111 1111\n1111 1111\n04/28")


@pytest.mark.parametrize(
    "text",
    [
        "4111_1111_1111_1112",  # its check digit is wrong
        "/9111/1111/1111/1111/photo.jpg",  # no issuer's
        "2021\n4111\n1111\n1111\n1111\n2022\n",  # a column of figures
        "4111\t1111\t1111\t1111\t5100\t5210",
        "4111_1111_1111_1111_build",
        "41_11_11_11_11_11_11_11",
        "/41111/11111/111111/x",
        "4111,1111,1111,1111",
        "0.4111/1111/1111/1111",
        "4111\t1111\t1111\t1111.5",
    ],
)
def test_groups_of_digits_in_tables_and_paths_are_no_cards(analyzer: Analyzer, text: str) -> None:
    assert "CREDIT_CARD" not in found(analyzer, text)


@pytest.mark.parametrize("gap", ["\t", "\n", "\r\n", "\n  ", "_", "/", " - ", "%20", "+"])
def test_an_iban_is_found_with_any_gap_between_its_groups(analyzer: Analyzer, gap: str) -> None:
    iban = gap.join(["DE89", "3704", "0044", "0532", "0130", "00"])
    assert covers(analyzer, "IBAN_CODE", iban, f"IBAN {iban}")


@pytest.mark.parametrize(
    ("iban", "text"),
    [
        ("DE89\n3704 0044 0532 0130 00", "IBAN: DE89\n3704 0044 0532 0130 00\nBIC COBADEFFXXX"),
        ("DE89 3704 0044\n0532 0130 00", "My IBAN is DE89 3704 0044\n0532 0130 00"),
    ],
)
def test_an_iban_is_found_where_a_line_ends_inside(analyzer: Analyzer, iban: str, text: str) -> None:
    assert covers(analyzer, "IBAN_CODE", iban, text)


@pytest.mark.parametrize(
    "text",
    [
        "IBAN DE89\t3704\t0044\t0532\t0130\t01",  # its check digits are wrong
        "IBAN DE89\n3704\n0044\n0532\n0130",  # too short
        "DE89\t3704\t0044\t0532\t0130\t0012",  # too long
        "SM100_BWD_AUTO_BUCKETED_K2Q_MIN_Q = 3 and sm100_deterministic_bitmap_max",  # a name of code
    ],
)
def test_groups_on_several_lines_that_fail_the_check_of_an_iban_are_none(analyzer: Analyzer, text: str) -> None:
    assert "IBAN_CODE" not in found(analyzer, text)


def test_a_number_that_fails_the_luhn_check_is_no_card(analyzer: Analyzer) -> None:
    assert not luhn_valid("4111111111111112")
    assert "CREDIT_CARD" not in found(analyzer, "Is 4111 1111 1111 1112 prime?")


IDENTIFIERS = {
    "EMAIL_ADDRESS": ("Write to jo.doe@example.org please.", "jo.doe@example.org"),
    "IBAN_CODE": ("Pay into DE89370400440532013000 today.", "DE89370400440532013000"),
    "US_SSN": ("My social security number is 536-22-8471.", "536-22-8471"),
    "US_PASSPORT": ("My passport number is 488839667.", "488839667"),
    "UK_NHS": ("NHS number 943 476 5919 on the form.", "943 476 5919"),
    "UK_NINO": ("National insurance AB123456C is mine.", "AB123456C"),
    "FR_NIR": ("Mon NIR est 2 69 05 49 588 157 80.", "2 69 05 49 588 157 80"),
    "ES_NIF": ("Mi DNI es 12345678Z.", "12345678Z"),
    "IT_FISCAL_CODE": ("Il mio codice fiscale è RSSMRA85M01H501Q.", "RSSMRA85M01H501Q"),
    "IN_PAN": ("My PAN is ABCPE1234F.", "ABCPE1234F"),
    "IP_ADDRESS": ("The server is 203.0.113.77 in the rack.", "203.0.113.77"),
    "IN_AADHAAR": ("My Aadhaar number is 2342 3451 2347.", "2342 3451 2347"),
    "DE_TAX_ID": ("Meine Steuernummer ist 86095742719.", "86095742719"),  # codespell:ignore ist
    "MAC_ADDRESS": ("Its MAC is 00:1B:44:11:3A:B7 here.", "00:1B:44:11:3A:B7"),
    "CRYPTO": ("Send to 0x52908400098527886E0F7030069857D2E4169EE7 now.", "0x52908400098527886E0F7030069857D2E4169EE7"),
}


@pytest.mark.parametrize("entity", IDENTIFIERS)
def test_identifiers_are_covered_whole(analyzer: Analyzer, entity: str) -> None:
    text, value = IDENTIFIERS[entity]
    assert covers(analyzer, entity, value, text)


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("Hi, my name is Ana de la Cruz and I need help.", "PERSON", "Ana de la Cruz"),
        ("Je m'appelle Élodie Durand.", "PERSON", "Élodie Durand"),
        ("Make it polite.\n\nBest regards,\nTom Oakley", "PERSON", "Tom Oakley"),
        ("Ik heet Willemijn de Groot", "PERSON", "Willemijn de Groot"),
        ("Меня зовут Светлана Ковальчук, напиши письмо", "PERSON", "Светлана Ковальчук"),
        ("我叫陈建国,写一份自我介绍", "PERSON", "陈建国"),
        ("私は佐藤美咲と申します。", "PERSON", "佐藤美咲"),
        ("제 이름은 김민수입니다", "PERSON", "김민수"),
        ("I live at 48 Larkspur Crescent, Aylesbury HP21 7QT", "LOCATION", "48 Larkspur Crescent, Aylesbury HP21 7QT"),
        ("Moro na Rua das Acácias, 482", "LOCATION", "Rua das Acácias, 482"),
        ("I live at 12 Baker Street, Otterburn.", "LOCATION", "12 Baker Street, Otterburn"),
        ("Ich wohne in der Lindenstraße 14, 10969 Berlin.", "LOCATION", "Lindenstraße 14, 10969 Berlin"),
        ("Vivo en la Calle Mayor 12.", "LOCATION", "Calle Mayor 12"),  # codespell:ignore calle
        ("J'habite 14 rue de la Paix à Lille.", "LOCATION", "14 rue de la Paix"),
        ("Deliver to P.O. Box 4417, Springfield.", "LOCATION", "P.O. Box 4417, Springfield"),
    ],
)
def test_what_users_say_of_themselves_is_found(analyzer: Analyzer, text: str, entity: str, value: str) -> None:
    assert covers(analyzer, entity, value, text)
    start = text.index(value)
    assert any(item.entity == entity and item.start <= start for item in analyzer.find(text, score_threshold=DISCLOSED))


@pytest.mark.parametrize(
    "text",
    [
        "Julia has 36 stickers, gets 12 more from Quinn in Hartwell and then loses 14.",
        "my name is too long for the form",
        "我叫外卖，他没来。私は学生です。名前は何ですか",
        "Explain the Monty Hall problem and the Haskell type system.",
        "I am from the support team. Our Way of working needs 3 Steps.",
        "Is Kubernetes or Cassandra better here?",
        "She has 5 place settings and 3 lanes.",
    ],
)
def test_names_that_merely_occur_have_lower_scores_than_disclosures(analyzer: Analyzer, text: str) -> None:
    assert analyzer.find(text, score_threshold=DISCLOSED) == []


@pytest.mark.parametrize(
    ("entity", "value", "text"),
    [
        ("CREDIT_CARD", "4111 1111 1111 1111", "card 4111 1111 1111 1111 12/27 123"),
        ("IBAN_CODE", "gb29nwbk60161331926819", "iban gb29nwbk60161331926819 please"),
        ("US_SSN", "536\u201190\u20114399", "social security 536\u201190\u20114399"),
        ("US_PASSPORT", "488839667", '{"passportNumber":"488839667"}'),
        ("US_DRIVER_LICENSE", "A123-4567-8901", "driver_license=A123-4567-8901"),
        ("UK_NHS", "943\u00a0476\u00a05919", "nhs_number;943\u00a0476\u00a05919"),
        ("UK_DRIVING_LICENCE", "MORGA 657054 SM9IJ", "licence MORGA 657054 SM9IJ"),
        ("FR_NIR", "2 55 08 14 168 025", "sécurité sociale : 2 55 08 14 168 025"),
        ("ES_NIF", "12.345.678-Z", "12.345.678-Z"),
        ("PHONE_NUMBER", "555-123-4567x89", "reach me: 555-123-4567x89"),
        ("EMAIL_ADDRESS", "bob.smith@example.com", "GET /v1/users?mail=bob.smith@example.com&page=2"),
        ("IT_PASSPORT", "YA4444158", 'the user asked: "is YA4444158 right?" about the Italian passport number'),
        ("US_SSN", "536-99-4399", r"Status\tWaiting\nSSN\t536-99-4399\n"),
        ("IBAN_CODE", "LV36 HABA 5967 LKL9 RERJ W", "auf LV36 HABA 5967 LKL9 RERJ W, Betreff Ausflug"),
        ("PHONE_NUMBER", "(506) 663-5631", "1) none\n2) tel. no.: (506) 663-5631\n3) yes"),
        ("PHONE_NUMBER", "+254.20.2732991", "so the phone is +254.20.2732991"),
        ("PHONE_NUMBER", "32 12 59 62", "telefon 32 12 59 62"),
        ("PHONE_NUMBER", "(514) 284-7693", "id,contact_phone\n4422,(514) 284-7693"),
        ("CREDIT_CARD", "4761 8951 8815 1348", "id,card_number\n4607,4761 8951 8815 1348,active"),
        ("IN_PASSPORT", "V5818481", "मेरा पासपोर्ट नंबर V5818481 है"),
        ("US_DRIVER_LICENSE", "U398-539-29-612-4", "driverLicense: 'U398-539-29-612-4'"),
        ("US_DRIVER_LICENSE", "WDLFAYBNSZQ4", "driver license WDLFAYBNSZQ4"),
        ("EMAIL_ADDRESS", "dana%40whitfield.org", "https://shop.io/reset?user=dana%40whitfield.org&step=2"),
        ("EMAIL_ADDRESS", "studio&#64;pinewood.com", '<a href="mailto:studio&#64;pinewood.com">'),
        ("IBAN_CODE", "DE 89 3704 0044 0532 0130 00", "Konto DE 89 3704 0044 0532 0130 00, bitte"),
        ("SECRET", "Zima2024qw", "пароль: Zima2024qw"),
        ("PHONE_NUMBER", "(11) 96126-7982", "row\ttel\n1\t(11) 96126-7982\tok"),
        ("CRYPTO", "LX4eb8roZEFVicUfN2RPVhYyXypxjMaUkx", "donate: LX4eb8roZEFVicUfN2RPVhYyXypxjMaUkx (thank you!)"),
        ("CRYPTO", "BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ", "BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ"),
    ],
)
def test_an_identifier_is_found_as_forms_files_and_people_spell_it(
    analyzer: Analyzer, entity: str, value: str, text: str
) -> None:
    assert covers(analyzer, entity, value, text)


@pytest.mark.parametrize(
    "around",
    [
        "password: {}",
        "<password>{}</password>",
        "mysql -u root -p{} shop",
        "Server=db;Uid=sa;Pwd={};Database=shop",
        "define('DB_PASSWORD', '{}');",
        "CREATE USER bob IDENTIFIED BY '{}';",
        "machine example.com login bob password {}",
        "name,password\nbob,{}",
        "INSERT INTO users (password) VALUES ('{}');",
        "mon mot de passe : {}",  # codespell:ignore mot
        "PGPASSWORD='{}' pg_dump -h db2",
        "docker login registry.example.com -u ci -p {}",
        'new NetworkCredential("robot", "{}")',
        "I keep typing {} as my password",
        "host=db4 dbname=hr user=app password={} sslmode=require",
        "htpasswd -b -c .htpasswd staging {}",
        r"net use Z: \\nas\share /user:scan {}",
        "jdbc:oracle:thin:scott/{}@//ora01:1521/ORCL",
        "cy.get('#password').type('{}')",
        "he told us his password over the phone ({}).",
    ],
)
@pytest.mark.parametrize("value", ["s3cret" + "P4ss", "saffron-copper-" + "766"])
def test_a_password_is_found_wherever_one_is_given(analyzer: Analyzer, around: str, value: str) -> None:
    assert covers(analyzer, "SECRET", value, around.replace("{}", value))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("GET https://acme.com/unsub?email=bob.k@acme.com&list=3", "bob.k@acme.com"),
        ("/v1/users/bob.k@acme.com/posts", "bob.k@acme.com"),
        ("reply-to=bob.k@acme.com; x", "bob.k@acme.com"),
        ("mailto:bob.k@acme.com?subject=hi", "bob.k@acme.com"),
        ("from list+bob=corp.com@lists.org", "list+bob=corp.com@lists.org"),
        ("logs/bob.k@acme.com_2024.csv", "bob.k@acme.com"),
        ("bob.k@acme.com.json", "bob.k@acme.com"),
    ],
)
def test_of_a_mail_address_in_a_url_the_address_alone_is_found(analyzer: Analyzer, text: str, address: str) -> None:
    found_ = [item for item in analyzer.find(text, score_threshold=0.4) if item.entity == "EMAIL_ADDRESS"]
    start = text.index(address)
    assert [(item.start, item.end) for item in found_] == [(start, start + len(address))]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Write to lena.zwetschgenbaum @ firma-xyz.de today", "lena.zwetschgenbaum @ firma-xyz.de"),
        ("Write to lena.zwetschgenbaum @firma-xyz.de today", "lena.zwetschgenbaum @firma-xyz.de"),
        ("Write to lena.zwetschgenbaum@ firma-xyz.de today", "lena.zwetschgenbaum@ firma-xyz.de"),
        ("My address: lena.zwetschgenbaum@\nfirma-xyz.de.", "lena.zwetschgenbaum@\nfirma-xyz.de"),
        ("lena.zwetschgenbaum @ firma-xyz.co.uk", "lena.zwetschgenbaum @ firma-xyz.co.uk"),
        ("Meine Mail: lena_z77 @ firma.de, danke", "lena_z77 @ firma.de"),
        ("E-Mail: lena @ firma-xyz.de", "lena @ firma-xyz.de"),
        ("please email lena @ firma-xyz.de", "lena @ firma-xyz.de"),
        ("it went to lena@ firma-xyz.de", "lena@ firma-xyz.de"),
        ("it went to lena@ firma-xyz.de: no answer", "lena@ firma-xyz.de"),
        ("lena.z @ Firma-XYZ.DE", "lena.z @ Firma-XYZ.DE"),
        ("lenaz @ gmail.com", "lenaz @ gmail.com"),
        ("> lena@\n> firma-xyz.de", "lena@\n> firma-xyz.de"),
        ("lena.z(@)firma-xyz.de", "lena.z(@)firma-xyz.de"),
        ("lena.z[@]firma-xyz.de", "lena.z[@]firma-xyz.de"),
        ("lena.z {@} firma-xyz.de", "lena.z {@} firma-xyz.de"),
        ("info [ @ ] firma-xyz.de", "info [ @ ] firma-xyz.de"),
    ],
)
def test_a_mail_address_is_found_with_space_or_brackets_around_its_sign(
    analyzer: Analyzer, text: str, address: str
) -> None:
    assert covers(analyzer, "EMAIL_ADDRESS", address, text)


@pytest.mark.parametrize(
    "text",
    [
        "apples, price @ 5.de per kilo",
        "foo.bar @Override public void run()",
        "out = x @ y.T + b",
        "scores = self.q @ self.k.transpose(-2, -1)",
        "a.weight @ b.to(device)",
        "model.w @ x.to",
        "x_1 @ y_1.T",
        "loss.sum @ w.it()",
        "app.route\n@app.get('/')",
        "class_a @dataclass.field x",
        "npm install lodash.merge @types/node @angular/core@17.2.0",
        "npm i socket.io @nestjs/platform-socket.io",
        "git clone git@ github.com:org/repo.git",
        "thanks @user.name and @jane.doe",
        "thanks.a @user.name",
        "cc @maria.design",
        "lunch @ noma.dk",
        "see you @ example.org",
        "email me @ example.org",
        "a follow-up @ example.org at 2pm @ noma.dk",
        "deploy@ 1.2.3 or pkg@ latest.x",
        "Node.js @ meetup.com",
        "v1.2 @ example.com",
        "9.30 @ cafe.de",
        "${files[@]}.de and ${a[@]:1}",
        'for f in "${list[@]}"; do cp $f x.de; done',
        "list[@] foo.notasuffix",
        "SELECT @ x.y.z FROM t",
    ],
)
def test_an_at_sign_of_code_mentions_and_prices_makes_no_mail_address(analyzer: Analyzer, text: str) -> None:
    assert "EMAIL_ADDRESS" not in found(analyzer, text)


@pytest.mark.parametrize("text", ["a" * 16_000 + " @ b", "ab.cd @ " + "a-" * 8_000, "1_" * 8_000, "4111_" * 3_000])
def test_a_long_run_of_one_kind_is_read_once(text: str) -> None:
    began = time.process_time()
    for recogniser in (SpelledMailRecognizer(), CardNumberRecognizer()):
        assert recogniser.analyze(text, []) == []
    assert time.process_time() - began < 1  # 0.02 s; from every character anew it took 2 to 8 s


def test_decimals_are_no_numbers_of_phones_or_cards(analyzer: Analyzer) -> None:
    assert found(analyzer, "(3.14159265) +3.14159 265 (0.123 456 789) 0,4111111111111111") == set()


def test_a_resource_with_a_number_and_a_list_of_numbers_are_left_alone(analyzer: Analyzer) -> None:
    assert found(analyzer, "driver version 10.2.14.3 and v4.18.2.1 in firmware: 10.0.0.7") == set()
    text = "secret: db-credentials-01\npassword: my-app-test-01\nthe winners are 32 12 59 62"
    assert found(analyzer, text) == set()


@pytest.mark.parametrize(
    "text", ["api key {}", "https://example.com/v1?access_token={}&page=2", "X_TOKEN={}\n", "| key | {} |"]
)
def test_a_key_without_a_prefix_is_told_by_its_looks_and_the_word_beside_it(analyzer: Analyzer, text: str) -> None:
    value = "f3a9c81be7" + "d24a06b5a1"
    assert covers(analyzer, "SECRET", value, text.replace("{}", value))
    assert "SECRET" not in found(analyzer, f"commit {value}")


@pytest.mark.parametrize(
    ("entity", "value", "text"),
    [
        ("IP_ADDRESS", "2600:1700:4940:ebae:cfab:84e7:2bb7:a591", "PING {}: 56 data bytes"),
        ("MAC_ADDRESS", "001A2B7B795B", "show mac address-table\n  20    {}    DYNAMIC"),
        ("MAC_ADDRESS", "aabbccddeef0", "MAC address {} has no lease"),
        ("BANK_ACCOUNT", "061771527", "ROUTING/ACCT ON FILE: {}/23414906, returned"),
        ("BANK_ACCOUNT", "23414906", "ROUTING/ACCT ON FILE: 061771527/{}, returned"),
        ("BANK_ACCOUNT", "122895591", "First Prairie Bank\n|: {} |: 71178421 ||' 1048"),
        ("BANK_ACCOUNT", "2100 1481 51 2485566146", "número de cuenta antiguo: {}"),
        ("US_SSN", "378886022", "CLAIMANT: P. J.\nTAXPAYER NO: {}\nDATE OF LOSS: 03/02/2025"),
        ("SECRET", "Server=tcp:db.example.net,1433;User ID=erp;Password=jmv471p2xrl9;Encrypt=True;", '"Default": "{}"'),
        ("SECRET", "mysql://app:joeogb9r5juu@db.internal:3306/app_db", "DATABASE_URL={}\nfails"),
    ],
)
def test_a_value_is_covered_whole_in_the_notations_of_consoles_cheques_and_settings(
    analyzer: Analyzer, entity: str, value: str, text: str
) -> None:
    assert covers(analyzer, entity, value, text.replace("{}", value))


@pytest.mark.parametrize("text", ["commit 7c10c9c97d4a fixes the build", '"Server=x;Password={pwd};Encrypt=True"'])
def test_a_hash_is_no_hardware_address_and_a_placeholder_no_connection_string(analyzer: Analyzer, text: str) -> None:
    assert found(analyzer, text) == set()
