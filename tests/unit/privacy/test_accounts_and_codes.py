"""Bank accounts, numbers of more countries, short codes and keys in groups; what looks like them. All made up."""

import pytest

from eyrie.privacy.engine import Analyzer

THRESHOLD = 0.4


def covered(analyzer: Analyzer, text: str, value: str) -> set[str]:
    """The types of what covers `value`."""
    start = text.index(value)
    findings = analyzer.find(text, score_threshold=THRESHOLD)
    return {item.entity for item in findings if item.start <= start and item.end >= start + len(value)}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("60-02-72", "Sort code: 60-02-72\nAccount: 73978061"),
        ("73978061", "Sort code: 60-02-72\nAccount: 73978061"),
        ("021000021", "Routing # 021000021, checking 4410023391"),
        ("4410023391", "Routing # 021000021, checking 4410023391"),
        ("50100433216547", "NEFT to A/c no. 50100433216547, IFSC HDFC0001234"),
        ("12345-6", "agência 1234, conta corrente 12345-6"),
        ("73978061", "name,account number,town\nBob,73978061,Leeds"),
        ("73978061", "INSERT INTO payees (id, account_no) VALUES (4, '73978061')"),
    ],
)
def test_a_bank_account_is_found_beside_the_word_of_its_country(analyzer: Analyzer, value: str, text: str) -> None:
    assert "BANK_ACCOUNT" in covered(analyzer, text, value)


@pytest.mark.parametrize(
    "text",
    [
        "customer account number 12345678 is overdue",
        "sort 20 11 43 ascending",
        "compte 606300 fournitures, compte 512 banque",
        "The routing number of the bus is 9, and 021000022 fails the check",
    ],
)
def test_a_number_of_another_account_is_no_bank_account(analyzer: Analyzer, text: str) -> None:
    assert "BANK_ACCOUNT" not in {item.entity for item in analyzer.find(text, score_threshold=THRESHOLD)}


@pytest.mark.parametrize(
    ("entity", "value", "text"),
    [
        ("NL_BSN", "111222333", "naam;BSN;plaats\nJan;111222333;Delft"),
        ("PT_NIF", "123 456 789", "contribuinte 123 456 789"),
        ("BE_NRN", "85.07.30-033.28", "voor 85.07.30-033.28 graag"),
        ("BR_CPF", "529.982.247-25", "529.982.247-25"),
        ("BR_CPF", "52998224725", '{"cpf": "52998224725"}'),
        ("CH_AHV", "756.9217.0769.85", "Frau Vogt, 756.9217.0769.85"),
        ("PL_PESEL", "44051401359", "PESEL 44051401359"),
        ("FR_ID_CARD", "181113354942", "pièce d'identité n° 181113354942"),
        ("FR_PASSPORT", "12AB34567", "numéro de passeport : 12AB34567"),
        ("UK_NINO", "TN708704B", "NI number TN708704B"),
        ("CRYPTO", "8VhSbgUX5aUhMTsCCgkrpzZc5audNUXE6CWebk4CeL5h", "to 8VhSbgUX5aUhMTsCCgkrpzZc5audNUXE6CWebk4CeL5h"),
        ("PHONE_NUMBER", "+52 1 33 6761 3027", "cel +52 1 33 6761 3027"),
        ("PHONE_NUMBER", "07805581523", "LOCKS  KeyQuick  07805581523  all areas"),
        ("PHONE_NUMBER", "0495/89.81.65", "terugbellen op 0495/89.81.65"),
        ("PHONE_NUMBER", "9199791404", "Test inputs: +1 (646) 794-0099, 9199791404"),
    ],
)
def test_a_number_of_a_person_is_found_as_its_country_writes_it(
    analyzer: Analyzer, entity: str, value: str, text: str
) -> None:
    assert entity in covered(analyzer, text, value)


def test_a_number_whose_check_fails_is_no_national_number(analyzer: Analyzer) -> None:
    findings = analyzer.find("BSN 111222334, PESEL 44051401358, 529.982.247-26", score_threshold=THRESHOLD)
    assert not {"NL_BSN", "PL_PESEL", "BR_CPF"} & {item.entity for item in findings}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("7823", "opa hat sein handy gesperrt, pin war immer 7823, jetzt will es die puk"),
        ("2208", "j'ai entré 3 fois 2208 et ma carte sim est bloquée"),
        ("9427", "code vendeur 9427, session accueil"),
        ("482 113", "Your verification code is 482 113"),
        ("482113", "482113 est votre code"),
        ("74492", "mTAN 74492"),
        ("0074 8500 7993 0339 6008", "rete OSPITI, password 0074 8500 7993 0339 6008"),
        ("mon chat repeint sept parapluies", 'la phrase c\'est "mon chat repeint sept parapluies"'),
        ("bicycle-tractor-velvet-silent", "master password? too late it's bicycle-tractor-velvet-silent"),
        ("Biscuit", "name of first pet is Biscuit (security question)"),
        ("Zomer2024!", "inlog bob, ww: Zomer2024!"),
        ("wFPbfdqBJVioTUGG", "[client]\nuser = backup\npassword = wFPbfdqBJVioTUGG\nhost = db"),
    ],
)
def test_a_short_code_a_phrase_and_an_answer_are_found_where_they_are_told(
    analyzer: Analyzer, value: str, text: str
) -> None:
    assert "SECRET" in covered(analyzer, text, value)


@pytest.mark.parametrize(
    "value",
    [
        "-----BEGIN PRIVATE" + r" KEY-----\nMIIEvgIBADAN\n-----END PRIVATE" + r" KEY-----\n",
        "django-insecure" + "-b$12g5)f^z(cc+dm7)sdgl%em7qo!j%116j65$n3@7",
        "HPK8X-KYP3Y-8X9RB-GKJQQ-WJ3T6",
        "277442-242748-598609-245399-171699-565081-688809-330748",
        "https://x.example/password/reset/gphnetQVs9BHebmC9e2v5Gj73ObDJCXS",
        "AK" + "IAABCDEFGHIJKLMNOP rdc4gSICAfyEDeCrQGggZevWINnaDBeJe6CMmRfT",
        "define('AUTH_KEY', 'u~x4Bk)fZ1HToad#{Y/]Um4R|NpN</v<o9fCSgR=Vs(-!S2A[+gV0}&f}RQal]$V');",
        "unsalted password hashes: 3c7b837f879397b7c838ce1f2a372e98, 1418a0262adf9c7dede7f17b805886ba",
    ],
)
def test_a_secret_of_a_known_form_is_found_without_more_words(analyzer: Analyzer, value: str) -> None:
    drawn = value[20:-3] if value.startswith("define") else value
    assert "SECRET" in covered(analyzer, f'"{value}" is it', drawn)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("my daughters bike lock is 408 and its stuck", "408"),
        ('Sticky note for the gym locker: "combo 535, turn right twice first"', "535"),
        ("le cadenas du vélo : 917", "917"),
    ],
)
def test_a_lock_of_three_wheels_has_a_code_too(analyzer: Analyzer, text: str, value: str) -> None:
    assert "SECRET" in covered(analyzer, text, value)


@pytest.mark.parametrize(
    "text",
    [
        "use 2048 bits to sign tokens",
        "the code 1500 lines long needs review",
        "the lock is 120 mm wide and the combination of 350 parts is fine",
        "Kartenspiel mit 5200 Punkten",
        "Security question: What was your first pet?",
        "hash 9e107d9d372bb6826bd81d3542a419d6 of the file differs from the mirror",
        "https://docs.x.com/reset-password/how-to-reset-your-password-in-three-steps",
    ],
)
def test_what_looks_like_a_short_code_is_none(analyzer: Analyzer, text: str) -> None:
    assert not [item for item in analyzer.find(text, score_threshold=THRESHOLD) if item.entity == "SECRET"]
