"""Passwords that are words, codes that open something and recovery codes, and what has their grammar and is none.

The values are made up here.
"""

import pytest

from eyrie.privacy.passwords import is_phrase, may_be_told
from eyrie.privacy.plain_words import is_leet, is_plain
from eyrie.privacy.secrets import SecretRecognizer
from tests.unit.privacy.test_passwords import is_covered, secrets

# codespell:ignore-begin
WORDS = ("nightingale", "Portofino", "otter.quartz.meadow", "g0blin", "ThistleBarn")


@pytest.mark.parametrize(
    "told",
    [
        "my password is {}",
        "The wifi password at the lodge is {}. Make a sign.",
        "I changed my password from quagmire to {} today",
        "pw got reset to {}",
        "I use {} as my password for the forum",
        "For my password I picked {}.",
        "Would {} be a good password?",
        "I think it was {} or Walrus, one of these is the password",
        "they asked for a passphrase and I typed {}",
        "Security question: first pet? Answer: {}",
        "das Passwort fürs WLAN ist {}",
        "ich habe als Passwort {} vergeben",
        "le mot de passe du wifi est {}",
        "mon mot de passe, c'est toujours {}",
        "la contraseña del correo es {}",
        "la password temporanea è {}",
        "a senha do portal é {}",
        "het wachtwoord van de gasten is {}",
    ],
)
@pytest.mark.parametrize("password", WORDS)
def test_a_word_that_a_sentence_says_is_the_password_is_found(told: str, password: str) -> None:
    assert is_covered(password, told.replace("{}", password))


@pytest.mark.parametrize(
    "label",
    [
        "pw: {}",
        "Passwort -> {}",
        "password – {}",
        "Network: Attic\nPassword: {}",
        "login: maria / {}",
        "user bob, password {}",
        "mail: kim@example.com\npw {}",
        "ann: whats the vpn password\nbea: {}\nann: thx",
        "*Password:* {}",
        'the password, "{}", was on a note',
        "[sudo] password for kim: {}\nSorry, try again.",
        "host,password\nnas,{}",
        "Site     Password\nbank     {}",
        "| user | password |\n|---|---|\n| ann | {} |",
        "smtp_password={}",
        "      MYSQL_ROOT_PASSWORD: {}\n      MYSQL_USER: app",
        '{"user": "svc", "password": "{}"}',
        "login('bob', '{}')",
        "sshpass -p {} ssh ann@host",
        "curl -u bob:{} https://api.example.com",
        "<password>{}</password>",
        "<key>Password</key>\n<string>{}</string>",
        'std::string kPassword{"{}"};',
        "Authorization: 'Basic ' + btoa('ann:{}')",
        "new Sequelize('db', 'ann', '{}')",
        "signtool sign /f c.pfx /p {} app.exe",
    ],
)
@pytest.mark.parametrize("password", WORDS)
def test_a_word_that_a_label_a_file_or_a_command_gives_is_found(label: str, password: str) -> None:
    assert is_covered(password, label.replace("{}", password))


@pytest.mark.parametrize(
    "text",
    [
        "my password is wrong, and the old one is expired",
        "The password is case sensitive and too short.",
        "the wifi password is printed on the router",
        "Mein Passwort ist falsch",
        "le mot de passe est oublié",
        "la contraseña es demasiado corta",
        "la password è scaduta",
        "a senha é enviada por SMS",
        "het wachtwoord is hoofdlettergevoelig",
        "I changed my password to be safe. Set the password to never expire.",
        "Can I use emojis as passwords? Is this a strong password?",
        "password: string\npassword - required",
        "Passwort: vergessen",
        '"password": "string", "type": "password"',
        "const password = useRef(null); password: faker.internet.password(),",
        'def login(self, username, password):\n    """Constructor."""',
        'password: "{{ app_db_password }}"',
        "columns: id, username, password, created",
        "name,password,role\nstring,string,string",
        "login: OK / failed; Sign in with Google / Apple",
        "tests pass -> deploy\nplease pass `func` on",
        "mysql -u root -p shop < dump.sql; sudo -u www-data mkdir -p cache",
        'signIn("credentials"); connect("localhost", "mydb")',
        "with username and password authentication; Reset Password - Dropbox",
        "la clave del éxito es trabajar",
        "PSK ciphers are disabled; the passphrase is used to derive the key",
    ],
)
def test_what_is_said_of_passwords_is_no_password(text: str) -> None:
    assert secrets(text) == []


def test_a_word_is_told_by_what_it_says_itself() -> None:
    assert list(filter(is_plain, ("nightingale", "wrong", "expired", "username", "blue-otter", "case-sensitive"))) == [
        "nightingale",
        "blue-otter",
    ]
    assert list(filter(is_leet, ("g0blin", "user1", "sha256", "t4ble"))) == ["g0blin", "t4ble"]
    assert list(filter(may_be_told, ("$h1pyard", "Tundra+Fjord", "$PASSWORD"))) == ["$h1pyard", "Tundra+Fjord"]
    assert is_phrase("otter under quartz meadow", quoted=False)
    assert not is_phrase("used to derive the key", quoted=True)


@pytest.mark.parametrize(
    "text",
    [
        "the code for the front door is {}",
        "El código de la alarma es {}",
        "Le code du portail est le {}, bon courage",
        "Der Code für die Haustür lautet {}",
        "De code van het kluisje is {}",
        "Use {} to open the lockbox.",
        "Shed: {}, garage: 5117",
        "the code to disarm is {}",
        "{} is my pin, is that bad?",
        "alarm off with {}",
        "my kid figured out the ipad code, it was {}",
        "Ihr Code lautet {}. Geben Sie ihn nicht weiter.",
    ],
)
def test_a_code_that_opens_something_is_found(text: str) -> None:
    assert is_covered("7394", text.replace("{}", "7394"))


@pytest.mark.parametrize(
    "text",
    [
        "The area code for the building is 4161, the zip code is 90210.",
        "The safe costs 1200 euros and the door is 2100 mm high.",
        "Apply discount code 2024 at the entry; the status code is 5030.",
        "Use 4000 grit to open the pores of the door paint.",
        "Recovery codes are ten 8-digit codes. Emergency codes: red, blue and white.",
        "image: postgres:15-alpine, admin: full access, root: /var/www",
    ],
)
def test_a_number_beside_a_door_is_no_code(text: str) -> None:
    assert secrets(text) == []


def test_every_recovery_code_of_a_list_is_found() -> None:
    codes = ["k3v9-x2pd", "hq7d-5rtm", "wm2x-9cfa"]
    assert set(codes) <= set(secrets("My backup codes:\n1. " + codes[0] + "\n2. " + codes[1] + "\n3. " + codes[2]))
    assert set(codes) <= set(secrets("Wiederherstellungscodes: " + ", ".join(codes)))


def test_the_values_of_a_kubernetes_secret_are_found_but_not_its_user() -> None:
    secret = "kind: Secret\nmetadata:\n  name: x\ndata:\n  username: YWRtaW4=\n  conn: bmlnaHRpbmdhbGU=\n"
    assert secrets(secret) == ["bmlnaHRpbmdhbGU="]
    assert secrets(secret.replace("Secret", "ConfigMap")) == []


@pytest.mark.parametrize(
    "value",
    [
        "$2y$10$" + "eZX/EmAK9SApfAXsa57Hj5" + "7NcTbA3ZURgWBmXOw9Rb7eEHqVX68",
        "$apr1$Qk1x9z3b$" + "hYJ0r5K1mD2mCw3xR4yT61",
        "{SSHA}" + "hRJCiaKZSBGeQClVkWDGR32ixBw=",
        "pbkdf2_sha256$600000$" + "Zk3v9Qx2pdHq7$" + "Y5rtmWm2x9cfaLkPq0ZsXeDcRfVtGbYhNuJmKi8=",
        "https://relay.example.com/webhooks/" + "Zk3v9Qx2pdHq7d5rtm",
    ],
)
def test_a_hash_of_a_password_and_the_address_of_a_hook_are_secrets(value: str) -> None:
    found = SecretRecognizer().analyze(f"kim:{value} is refused", ["SECRET"])
    assert any(item.start <= 4 and item.end >= 4 + len(value) for item in found)


# codespell:ignore-end


@pytest.mark.parametrize("told", ["staging pw\nadmin / {}", "pw for the box: root: {}"])
def test_a_known_user_after_pw_stands_beside_a_password(told: str) -> None:
    assert is_covered("nightingale", told.replace("{}", "nightingale"))


@pytest.mark.parametrize("text", ["power\nadmin / nightingale", "the spw team\nroot: nightingale"])
def test_a_known_user_without_a_word_for_logins_stands_beside_a_word(text: str) -> None:
    assert secrets(text) == []
