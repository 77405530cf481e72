"""Passwords in rows, beside a pronoun or without a verb, and what has their form and is none.

The values are made up here.
"""

import pytest

from eyrie.privacy.passwords import stands_out
from tests.unit.privacy.test_passwords import is_covered, secrets

# codespell:ignore-begin
CHOSEN = ("Heron" + "2017!", "kQ7zTb" + "2WmR", "walnut.canoe" + "482")
JOINED = "ThistleBarn"


def test_a_random_change_of_case_a_walk_over_keys_and_joined_words_with_a_number_stand_out() -> None:
    words = ("otz7v" + "rxF", "CM7iQ" + "StgAT", "qwertz" + "1984", "garten.pump" + "kin197", "Rex_" + "2019")
    assert list(filter(stands_out, words)) == list(words)
    assert not any(map(stands_out, ("OAuth2PasswordForm", "AArch64", "SFTPv5-v6", "app-prod-01", "Mar2024", "iso9001")))


@pytest.mark.parametrize(
    "text",
    [
        "our logins:\nfacebook - tina.vd - {}\ninstagram - tina - Walrus88!",
        "Servers:\n- web01 (root / {})\n- web02 (root / Walrus88!)",
        "db1 / app / {}\ndb2 / app / Walrus88!\nThese are server, user, password.",
        "The accounts:\n1) ann, {}\n2) bob, Walrus88!",
        "auth-user-pass file:\nvpnuser\n{}\n\nAUTH_FAILED",
        "test data: valid user ann/{}, locked user bob",
        "$users = array('ann' => '{}', 'bob' => 'Walrus88!');",
        "5f4dcc3b5aa765d61d8327deb882cf99:{}",
        "john --show: ann:{}:1001:1001::/home/ann:/bin/bash",
    ],
)
@pytest.mark.parametrize("password", CHOSEN)
def test_the_password_of_a_row_of_credentials_is_found(text: str, password: str) -> None:
    assert is_covered(password, text.replace("{}", password))


def test_the_rows_of_one_list_are_judged_together() -> None:
    assert is_covered("marigold", "logins\nnas - ann - marigold\nmail - ann - Walrus" + "88!")
    assert secrets("logins\nnas - ann - marigold\nmail - ann - lavender") == []


@pytest.mark.parametrize(
    "told",
    [
        "My dad forgot the password (it's {}), what now?",
        "Stop changing the admin password. It is {}, it stays that way.",
        "the password? {} I think",
        "my password {} was seen in a breach",
        "use su DNI y la contraseña provisional {}. Si no puede entrar, avise.",
        "password reset worked, temp one is {}, it wants another",
        "I changed the laptop login to {} yesterday and Windows says wrong password.",
        "er hat {} als Kennwort eingetragen",
        "alice's password: x1, bob's: {}",
        "My password is either {} or something longer",
    ],
)
@pytest.mark.parametrize("password", [JOINED, *CHOSEN])
def test_what_is_put_together_is_a_password_in_looser_grammar(told: str, password: str) -> None:
    assert is_covered(password, told.replace("{}", password))


@pytest.mark.parametrize(
    "told",
    [
        "can you check whether {} appears in rockyou?",
        "How long would it take to crack {} with one GPU?",
        "Ist {} sicher genug für PayPal?",
        "I use {} for everything since 2015",
        "The PDF opens with {}. How do I strip that?",
        "I'm locked out of duolingo, I typed {}",
    ],
)
def test_a_word_that_stands_out_is_found_where_it_is_cracked_or_used_everywhere(told: str) -> None:
    assert is_covered(CHOSEN[0], told.replace("{}", CHOSEN[0]))


@pytest.mark.parametrize(
    "code",
    [
        "| System | Benutzer | Kennwort |\n|---|---|---|\n| ERP | lager | {} |",
        "INSERT INTO a (login, plain_pw) VALUES\n ('ann', 'Walrus88!'),\n ('bob', '{}');",
        'let db_password = String::from("{}");',
        "['password' => Hash::make('{}')]",
        'variable "db_pass" {\n  type = string\n  default = "{}"\n}',
        "smbclient //fs/x -U 'DOM/ann%{}'",
        "snmpwalk -v3 -u mon -A Walrus88! -x AES -X {} 10.1.1.1",
        "useradd -p $(openssl passwd -6 '{}') deploy",
        "child.expect('Password:')\nchild.sendline('{}')",
        'client.username_pw_set("sensor", "{}")',
        'ActiveSheet.Unprotect "{}"',
        'user : EAP "{}"',
    ],
)
@pytest.mark.parametrize("password", CHOSEN)
def test_a_password_in_a_call_a_block_or_a_later_row_is_found(code: str, password: str) -> None:
    assert is_covered(password, code.replace("{}", password))


SEED = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.mark.parametrize(
    "told", ["my metamask words: {}\nwhich path?", 'Ledger says: "{}", word 7?', "{}\n\nvalid BIP39?"]
)
def test_twelve_words_beside_a_word_for_wallets_are_a_seed(told: str) -> None:
    assert secrets(told.replace("{}", SEED)) == [SEED]


def test_recovery_codes_are_known_by_their_groups_near_a_word_for_them() -> None:
    one, two = "k3v9-x2pd-" + "4hqm", "2f853-" + "c3f41"
    assert {one, two} <= set(secrets(f"Google gave me backup codes for 2-step. I have {one} and {two} left."))
    assert one in secrets(f"I lost my phone, only {one} is left from the backup codes")
    assert secrets("Backup of 2024-0312 failed, plan BKP-20240312-0001") == []


@pytest.mark.parametrize(
    "text",
    [
        "The alarm panel: enter {}, then press away.",
        "To get in: press 0, then {}, then #.",
        "Key safe by the back door. {}. Write instructions.",
        "pin della carta {}, come la memorizzo?",
        "coffre-fort de la chambre : {}",
    ],
)
def test_a_code_is_found_after_its_lock(text: str) -> None:
    assert is_covered("7394", text.replace("{}", "7394"))


@pytest.mark.parametrize(
    "text",
    [
        "He set the meeting to Thursday and the password policy to strict.",
        "I updated the login page to React19 and the password strength meter to zxcvbn-ts.",
        "Postal code of the building: 75011. enter 2024 in cell B2; the door count updates.",
        "Type 1000 then press the gate button in the simulation.",
        "DB_PASSWORD=${DB_PASSWORD:?set it} docker compose up -d",
        "redis:7.2-alpine\npostgres:16-alpine\n\nThese are the images of our user service.",
        "Account: Checking - balance 1,204.55\nAccount: Savings - balance 9,310.20",
        "12 words that describe autumn: crisp golden windy cosy amber misty rusty chilly bright quiet mellow earthy",
        "I use Ubuntu2204 everywhere and Python311 for everything. The box opens with a Torx20 screwdriver.",
        "def connect(host, user, password, port, connect_timeout):\n    return LoginForm(password)",
        "My password manager is KeePassXC; the password is stored in Keychain. It is encrypted with AES256.",
    ],
)
def test_lists_locks_and_words_of_other_things_tell_none(text: str) -> None:
    assert secrets(text) == []


# codespell:ignore-end
