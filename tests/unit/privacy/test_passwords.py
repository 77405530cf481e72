"""Passwords that people tell and give to programs, and what looks like them and is none.

The values are made up here and put together from parts, so that scanners of this repository have nothing to report.
"""

import pytest

from eyrie.privacy.assignments import given_secrets
from eyrie.privacy.passwords import is_chosen, looks_made_up, stands_out

WORD_AND_YEAR, LEET, DRAWN, JOINED = (
    "Sommer" + "2024!",
    "rav3n" + "claw77",
    "zX9!qP" + "l2#vT",
    "copper-lemon-" + "tiger",
)
PASSWORDS = (WORD_AND_YEAR, LEET, DRAWN, JOINED)


def secrets(text: str) -> list[str]:
    return [text[start:end] for start, end in given_secrets(text)]


def is_covered(value: str, text: str) -> bool:
    return any(value in secret for secret in secrets(text))


# codespell:ignore-begin
@pytest.mark.parametrize(
    "told",
    [
        "my password is {}, can you tell me whether it is strong enough?",
        "the wifi pass: {}",
        "password for my laptop is {} and it says wrong",
        "I keep using {} as my password everywhere",
        "is {} a strong password?",
        "mon mot de passe est {}, il ne marche plus",
        "mon mdp c'est {}",
        "j'utilise {} comme mot de passe partout",
        "mein Passwort lautet {} und es geht nicht",
        "ich verwende {} als Passwort",
        "la contraseña del wifi es {}",
        "uso {} como contraseña",
        "la password del router è {} ma non entra",
    ],
)
@pytest.mark.parametrize("password", PASSWORDS)
def test_what_a_sentence_says_is_a_password_is_found(told: str, password: str) -> None:
    assert is_covered(password, told.replace("{}", password))


@pytest.mark.parametrize(
    "told",
    [
        "log in as bob / {} and look at the second tab",
        "Here are the creds for the demo, demo_user and {}, take screenshots.",
        "Support: which password did you try?\nCustomer: {}\nSupport: ok",
        "connecte-toi avec jdupont et {}",
        "Die Zugangsdaten fürs CMS: redaktion / {}.",
        "I changed it from {} to something else and now outlook is broken",
        "I told a bot my password ({}) by accident",
    ],
)
@pytest.mark.parametrize("password", [WORD_AND_YEAR, DRAWN])
def test_what_only_a_password_looks_like_is_found_in_a_sentence_on_logins(told: str, password: str) -> None:
    assert is_covered(password, told.replace("{}", password))


def test_every_password_of_a_sentence_is_found() -> None:
    text = f"changed my password from {WORD_AND_YEAR} to {LEET}; they know {DRAWN} too"
    assert {WORD_AND_YEAR, LEET, DRAWN} <= set(secrets(text))


@pytest.mark.parametrize(
    "told",
    [
        "my bank pin is {}, is it a bad idea?",
        "the door keypad code has changed from {} to 2290",
        "passcode for the iPad: {}",
        "mon code PIN, c'est {} : la carte est avalée",
        "die PIN lautet {}",
        "el código de la puerta es {}",
        "il pin del telefono è {}",
    ],
)
def test_a_number_said_to_open_something_is_found(told: str) -> None:
    assert "5038" in secrets(told.replace("{}", "5038"))


@pytest.mark.parametrize(
    "command",
    [
        "mysql --host=10.1.4.9 -uwiki -p{} wikidb -e 'show tables'",
        "curl -s -u build-bot:{} https://ci.example.com/jobs",
        "sshpass -p {} rsync -av ./dist web@10.0.0.8:/srv",
        "docker login -u ci -p {} registry.example.com",
        "anything -u bob -p {} --verbose",
        "gpg --batch --passphrase {} -d in.gpg",
        "keytool -genkeypair -alias x -storepass {}",
        "redis-cli -h cache-1 -a {} ping",
        "ldapsearch -x -D cn=admin -w {} -b dc=x",
        "openssl rsa -in k.pem -passin pass:{}",
        "echo '{}' | sudo -S apt update",
        "kinit bob <<< {}",
        "net user bob {} /add",
        "sqlplus scott/{}@ORCL",
        "ALTER USER analytics IDENTIFIED BY '{}';",
    ],
)
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_on_a_command_line_is_found(command: str, password: str) -> None:
    assert is_covered(password, command.replace("{}", password))


@pytest.mark.parametrize(
    "code",
    [
        'smtp.login("bob", "{}")',
        "requests.get(url, auth=('bob', '{}'))",
        'DriverManager.getConnection(url, "app", "{}");',
        'User.objects.create_superuser("root", "r@example.com", "{}")',
        "new PDO('mysql:host=db;dbname=blog', 'blog', '{}');",
        "bcrypt.hashSync('{}', 12)",
        'driver.findElement(By.name("passwd")).sendKeys("{}");',
        "const db = { user: 'app', password: '{}' }",
        "vpn:\n  user: rkim\n  pass: {}",
        'export ADMIN_PASS="{}"',
        "Server=sql-02;Database=pay;User Id=ro;Password={};Encrypt=yes",
        "nmap --script-args 'smbuser=guest2,smbpass={}'",
    ],
)
@pytest.mark.parametrize("password", PASSWORDS[:3])
def test_a_password_in_code_and_configurations_is_found(code: str, password: str) -> None:
    assert is_covered(password, code.replace("{}", password))


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password for iCloud on my iPhone 12, and the recovery e-mail is an old one.",
        "Mein Passwort ist abgelaufen, und Outlook2016 fragt ständig danach.",
        "mot de passe oublié : je n'ai plus accès à mon adresse depuis 2021",
        "¿Cómo restablezco la contraseña de mi router TP-Link Archer C6?",
        "Passwords must contain 12+ characters, 1 uppercase letter, 2 digits and a symbol from !@#$.",
        "How does PBKDF2-HMAC-SHA256 with 600000 iterations compare with bcrypt for password storage?",
        "Passwort: mindestens 12 Zeichen, keine Umlaute",
        "Log in with your Windows11 account and open Office365.",
        "The login page was redesigned in Q3 2024 by team Phoenix7; the password form now uses React18.",
        "password_field = page.locator('#password')\nawait password_field.fill(os.environ['E2E_PASSWORD'])",
        "def set_password(self, raw_password: str, rounds: int = 12) -> None:",
        "const p = Buffer.from(password, 'base64').toString('utf8')",
        "curl -u $USER:$PASS https://api.example.com and curl -u username:password https://api.example.com",
        "password: {{ lookup('env', 'DB_PASSWORD') }}",
        "GRANT SELECT ON db1.table2 TO 'report'@'%' IDENTIFIED BY '<password>';",
        "[sudo] password for john:\nEnter passphrase for key '/home/john/.ssh/id_rsa':",
        "usage: mysqldump [-u USER] [-p[PASSWORD]] [--host=HOST] database",
        "mysql -u root -p shop < dump.sql",
        "docker run -p 8080:8080 -u 1000:1000 -e TZ=Europe/Paris app:1.4.2",
        "sudo passwd user1; su - user1; ssh user1@host2",
        'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256\nssh-keygen -t rsa -b 4096 -N ""',
        "smtp.login(cfg['user'], cfg['pass'])\nsigninWith('ops@example.org', password)",
        "My pin header has 2x20 pins; GPIO17 is pin 11, exit code is 137, error code 4021",
        "The password, which I changed in 2023, no longer works",
        '"minipass": "^7.0.2", "minipass-fetch": "^5.0.0"',
        'getpass("%s@%s\'s password: " % (username, server))',
        "I changed it from red to blue and the port from 8080 to 9090",
        "The access code for room B204 is on the door. Which key opens B205?",
        "sacct -nu root -o Account%256, set llm_int8_enable_offload=True and log in to the pre-C++11 host",
        "for user in user1 user2; do sudo chage -M 90 $user; done; docker login ghcr.io -u USERNAME --password-stdin",
    ],
)
# codespell:ignore-end
def test_talk_and_code_about_passwords_tell_none(text: str) -> None:
    assert secrets(text) == []


def test_the_less_is_said_of_a_word_the_more_it_must_look_like_a_password() -> None:
    hunter, monkey = "hunter" + "2", "monkey" + "123"
    assert list(filter(is_chosen, (hunter, JOINED, "SHA256", "12-character"))) == [hunter, JOINED]
    assert list(filter(stands_out, (LEET, monkey, hunter, "app-prod-01"))) == [LEET, monkey]
    assert list(filter(looks_made_up, (DRAWN, WORD_AND_YEAR, monkey))) == [DRAWN, WORD_AND_YEAR]


@pytest.mark.parametrize(
    "text",
    [
        "The tablet at reception unlocks with 8264. Print it.",
        "A: what's the code for the lockbox?\nB: 8264\nGo on.",
        "l'alarme se désactive avec le code 8264, rédige une note",
    ],
)
def test_a_code_is_found_by_the_lock_that_it_opens(text: str) -> None:
    assert set(secrets(text)) == {"8264"}


def test_a_passphrase_in_quotes_and_a_seed_of_twelve_words_are_found_but_not_a_sentence() -> None:
    phrase = "correct zebra " + "stapler moon"
    assert set(secrets(f'If my password was "{phrase}", how strong would it be?')) == {phrase}
    assert secrets('The form says password: "must be at least ten characters"') == []
    seed = "legal winner thank year wave sausage worth useful legal winner thank yellow"
    assert secrets(f"my wallet seed: {seed}") == [seed]
    assert secrets("the seed mixes the stream into the key since the counter words are fully spent on that") == []


def test_an_argument_of_a_command_is_meant_literally_where_code_would_name_a_variable() -> None:
    value = "Onyx." + "Falcon7"
    assert secrets(f"helm install kc chart --set auth.adminPassword={value}")[0] == value
    assert secrets("connect(password=Config.Password1)") == []


def test_the_value_of_a_column_that_says_password_is_found_where_an_insert_puts_it() -> None:
    insert = f"INSERT INTO accounts (login, passwd, plan) VALUES ('ana-1', '{DRAWN}', 'pro2024!');"
    assert DRAWN in secrets(insert)
    assert secrets("INSERT INTO users (username, password) VALUES (:username, :password)") == []
    assert secrets("access_key, secret_access_key\n# If no client has been initialised, 1 is made") == []


def test_a_sign_at_the_end_goes_with_the_password_and_marks_of_emphasis_do_not_make_one() -> None:
    value = "Biscuit" + "42*"
    assert is_covered(value, f"my password is {value}. Is it good?")
    assert secrets("Decrypt it with a passphrase and *PBES1*.") == []
