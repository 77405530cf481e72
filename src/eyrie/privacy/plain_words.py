"""Whether a word without a digit may be a password: one that nobody says of passwords, nor has in a password's place.

"My password is moonlight" and "my password is wrong" have one grammar; what tells them apart is the second word. Said
of passwords are few words of a language, most of them with the ending of a participle or an adjective; these, what
code has where a value stands (`string`, `null`), and what forms have there ("required") are no passwords. A pure
function of one word; where such a word stands is read by `eyrie.privacy.plain_told`.
"""

import re

# codespell:ignore-begin
_SAID_OF_PASSWORDS = {
    "en": """
        wrong right correct incorrect invalid valid weak strong stronger weaker strongest long longer short shorter
        hard harder easy easier simple simpler complex secure insecure safe safer unsafe sensitive insensitive secret
        private public visible invisible hidden empty blank missing absent present required mandatory optional
        necessary needed null none unknown known unique random same different similar identical good better best bad
        worse worst fine okay great perfect terrible awful horrible stupid silly dumb lame obvious guessable crackable
        memorable unforgettable predictable plain plaintext cleartext clear encrypted hashed salted available
        unavailable accessible inaccessible reusable readable unreadable broken lost gone forgotten stolen stuck dead
        alive active inactive over done back sent kept held hard-coded hardcoded built set unset reset shown given
        chosen written typed taken made seen found read shared free open closed full ready true false yes what when
        where which whose whom this that these those there here they them their theirs your yours mine ours hers
        someone something anything nothing everything everyone anybody somebody nobody somewhere anywhere nowhere
        always never still just only also even maybe perhaps probably definitely certainly really very quite pretty
        rather almost often sometimes rarely again soon later today tomorrow yesterday once twice currently recently
        already supposed likely unlikely possible impossible about above after before below between both each either
        enough every from into less like many more most much must near neither next once other others past per since
        some such than then though through under until upon with within without would will shall should could might
        because being been have having does doing going getting becoming part case sensitive-case old older oldest
        new newer newest current former previous last first second third final initial temporary temp permanent
        default standard common popular famous typical normal usual special particular general generic specific
        universal global local remote internal external manual automatic numeric alphanumeric alphabetical uppercase
        lowercase identical essential crucial critical vital important useful useless pointless fake real genuine
        original dummy sample example placeholder text string value field input number integer boolean bool char
        varchar bytes byte buffer object array list dict dictionary tuple struct enum type types any void float
        double date time datetime timestamp secretstr nullable undefined nil nan auto custom other basic bearer
        plain-text length size format hash digest salt token tokens key keys code codes name names username user
        users email mail emails phone address account accounts login logon logout signin signup sign register
        registration password passwords passwort pass passwd passphrase passcode pincode credentials credential admin
        administrator root guest test tests testing demo foobar form forms label button page pages title header
        prompt change confirm confirmation repeat retype forgot remember enter entered show hide toggle update
        submit cancel delete create insert select search view edit save load import export send receive generate
        validate validation verify verification check error errors warning info debug fail failing failed failure
        success
        policy policies manager managers security privacy strength expiry expiration expired
        expire expires recovery protection protected authentication authorization auth authorize session sessions
        cookie cookies server client host hostname port database table column row file files folder path paths url
        link message messages reason result response request data body payload content config configuration
        settings setting options option variable variables env environment argument arguments args param params
        parameter parameters property properties attribute attributes function method class module package library
        vault keychain notebook lastpass bitwarden keepass dashlane onepassword google github windows linux
        inherit include omit same-origin sensible reasonable acceptable alright alike equal equals enabled disabled
        allowed denied refused rejected accepted compromised exposed leaked rejected working not too case-sensitive
        yours also anymore irrelevant relevant involved unchanged outdated dated hackable lengthy tricky tough cheap
        expensive annoying crazy funny weird strange odd cool nice legit hers clearly simply easily properly correctly
        incorrectly safely securely fully partly human machine minimum maximum must-have letters digits characters
        days times attempts chars hours minutes months bits
        generator hashing reset resets field fields rules rule requirements criteria advice tips audit hygiene
        symbols words word numbers lines spaces emoji emojis birthday birthdays english french german hello there
        sorry please thanks thank pending unclear uncertain confidential classified sacred temporary shortened
        truncated masked redacted removed deleted omitted changeme tbd todo unspecified unavailable whatever ideal
        incomplete return except else elif finally raise yield assert continue break print self undefined optional
        stream func callback split namely authenticate receiver
        ASCII UTF JSON YAML XML HTML HTTP HTTPS SHA bcrypt argon scrypt used based redirect lookup two factor well
        half multi single based side time limited date like style stdin stdout hunter2 moot fresh stale
        ldap kerberos radius saml oauth oidc totp smartcard certificate certificates biometric fingerprint
        """,
    "de": """
        falsch richtig korrekt inkorrekt ungültig gültig schwach stark stärker sicher unsicher sicherer lang länger
        kurz kürzer leer fehlt fehlend bekannt unbekannt geheim öffentlich privat abgelaufen vergessen verloren weg
        gesperrt geändert gespeichert gestohlen notwendig nötig erforderlich pflicht pflichtfeld optional einfach
        komplex kompliziert schwer leicht zufällig eindeutig gleich anders dasselbe derselbe neu neue alt alte
        aktuell standard temporär vorläufig sichtbar unsichtbar verschlüsselt gehasht klartext bitte nicht noch
        immer auch schon sehr ganz zu zum zur auf aus bei beim mit nach seit von vom vor über unter hier dort
        jetzt gerade wieder mein meine meinem deine dein ihre ihr unser unsere einem einer eines eine kein keine
        etwas nichts alles immer niemals leider gut besser schlecht schlechter okay egal mindestens höchstens groß
        kleinschreibung
        benutzername benutzer zeichen buchstaben zahlen kennwort kennung wort schlüssel zurücksetzen ändern
        wiederholen bestätigen eingeben anzeigen verbergen tresor zettel wurde worden wird werden kann muss soll
        """,
    "fr": """
        incorrect incorrecte faux fausse erroné erronée mauvais mauvaise bon bonne valide invalide correct correcte
        faible fort forte court courte long longue trop vide requis requise obligatoire facultatif optionnel
        oublié perdu volé expiré périmé bloqué changé modifié enregistré stocké haché chiffré crypté compromis
        secret privé public visible invisible caché connu inconnu unique simple complexe compliqué difficile facile
        sûr sécurisé même identique différent nouveau nouvelle ancien ancienne actuel actuelle provisoire temporaire
        dans chez avec sans pour sous sur celui celle ceux toujours jamais encore aussi très bien mal plus moins
        déjà mon ma mes ton votre notre leur leurs quelque chose rien tout tous cela ceci être avoir fait
        utilisateur identifiant nom caractères lettres chiffres minimum confirmer afficher masquer changer modifier
        réinitialiser vôtre ici là-bas maintenant refusé accepté coffre personnel personnelle envoyé affiché
        """,
    "es": """
        incorrecta incorrecto correcta correcto errónea equivocada mala malo buena bueno válida inválida débil fuerte
        segura seguro insegura corta corto larga largo demasiado muy vacía vacío requerida obligatoria opcional
        olvidada perdida robada caducada vencida bloqueada cambiada guardada cifrada secreta privada pública visible
        oculta conocida desconocida única simple sencilla compleja complicada difícil fácil misma mismo igual
        diferente distinta nueva nuevo antigua actual temporal para desde hasta sobre entre como pero porque cuando
        donde esta este esto esa ese eso aquella siempre nunca todavía también bien mal más menos algo nada todo
        usuario nombre correo caracteres letras números mínimo confirmar mostrar ocultar cambiar restablecer clave
        personal contraseña aquí ahora filtrada comprometida necesaria
        """,
    "it": """
        sbagliata sbagliato errata errato corretta corretto giusta giusto valida valido invalida debole forte sicura
        sicuro insicura corta corto breve lunga lungo troppo molto vuota vuoto richiesta obbligatoria facoltativa
        opzionale dimenticata persa rubata scaduta bloccata cambiata modificata salvata cifrata criptata segreta
        privata pubblica visibile nascosta nota sconosciuta unica semplice complessa complicata difficile facile
        stessa stesso uguale diversa nuova nuovo vecchia vecchio attuale temporanea nella nello nelle sulla sullo
        della dello dalla dallo questa questo quella quello sempre mai ancora anche bene male meno qualcosa niente
        tutto utente nome caratteri lettere numeri minimo conferma mostra nascondi cambia reimposta
        compromessa necessaria stata stato adesso
        """,
    "pt": """
        incorreta incorreto correta correto errada errado inválida válida fraca fraco forte segura seguro insegura
        curta curto longa longo muito demais vazia vazio obrigatória opcional esquecida perdida roubada expirada
        vencida bloqueada alterada trocada salva guardada criptografada secreta privada pública visível oculta
        conhecida desconhecida única simples complexa complicada difícil fácil mesma mesmo igual diferente nova novo
        antiga atual temporária para desde sobre entre como mas porque quando onde esta este isto essa esse isso
        sempre nunca ainda também bem mal mais menos algo nada tudo usuário nome caracteres letras números mínimo
        confirmar mostrar ocultar alterar redefinir senha pessoal aqui agora vazada comprometida necessária
        """,
    "nl": """
        fout foute verkeerd verkeerde juist juiste goed slecht ongeldig geldig zwak sterk veilig onveilig kort korter
        lang langer leeg vereist verplicht optioneel vergeten verloren gestolen verlopen geblokkeerd gewijzigd
        veranderd opgeslagen versleuteld geheim privé openbaar zichtbaar verborgen bekend onbekend uniek eenvoudig
        simpel complex moeilijk makkelijk hetzelfde dezelfde anders nieuw nieuwe oud oude huidig tijdelijk niet nog
        altijd nooit ook heel erg zeer deze dit die dat mijn jouw onze hun iets niets alles hier daar gebruiker
        gebruikersnaam hoofdlettergevoelig naam tekens letters cijfers minimaal bevestigen tonen wijzigen wachtwoord
        persoonlijk gelekt nodig voor
        naar door over onder tussen
        """,
}
_NO_PASSWORDS = frozenset(word.lower() for words in _SAID_OF_PASSWORDS.values() for word in words.split())
# Endings of what is said of things, by the shortest word that has them.
_SAID_OF_THINGS = re.compile(
    r"(?:[a-z]{3,}(?:ed|ized|ised)|[a-z]{4,}(?:(?<!l)ing|able|ible|ably|ibly|ously|ically|fully|tion|tions|ment|ness)"
    r"|(?:un|in|im|non|re|auto|pre|over)[a-z]{3,}(?:ed|able|ible|ing)|un[a-z]{3,}en|[a-z]{5,}(?<!f)ly"
    r"|[a-z]{4,}(?:ously|ively|edly|ently|antly)"
    r"|(?:aus|ein|auf|ab|an|ver|vor|zer|be|ent|er)?ge[a-zäöüß]{3,}t|(?:ver|be|ent|zer)[a-zäöüß]{3,}(?:elt|ert|tet|t)"
    r"|[a-zäöüß]{3,}(?:bar|lich|ungen|ung)|[a-zà-ÿ]{3,}(?:ée?s?|ées|ique)|[a-zà-ÿ]{4,}(?:ad[ao]|id[ao]|at[ao]|ut[ao])"
    r"|[a-zà-ÿ]{3,}mente)"
)
_ENDING_ALIKE = """
    speed breed seaweed sheepdog wicked united hundred sacred viking wedding herring morning evening lightning building
    spring potato tomato pirata fragata sonata mermaid avocado colorado eldorado armada granada canada salsa cascada
    nevada torpedo tornado café rosé pokémon cliché station nation potion garnet element torment apartment florida
    kimberly beverly mohamed ahmed muhammed alfred wilfred manfred fred limonada limonata enchilada empanada matata
"""
_THINGS_AFTER_ALL = frozenset(_ENDING_ALIKE.split())
# `passwordanchor`
_BEGINS_ALIKE = re.compile(
    r"password(?!s|(?:field|hash|reset|input|form|policy|less|manager|protect|change|auth|str|valid)\w*$)[a-z]{4,}"
)
# codespell:ignore-end
# Parts of names in code and of forms, whatever stands around them.
_STEMS_OF_NAMES = (  # codespell:ignore
    *("passw", "passphr", "usern", "login", "secret", "token", "credential", "passwd", "contrase"),
    *("kennwort", "wachtwoord", "param", "placeholder", "invalid", "string", "config"),
)
_LETTERS = re.compile(r"[A-ZÀ-Þ]?[a-zß-ɏ]{3,40}|[A-ZÀ-Þ]{4,40}|(?:[A-Z]?[a-z]{2,20})(?:[A-Z][a-z]{1,12}){1,4}")
_JOINED = re.compile(r"[A-Za-zÀ-ɏ]{2,}(?:[-_.+&][A-Za-zÀ-ɏ]{2,}){1,6}")
_FILE = re.compile(r".*\.(?:[a-z]{2,3}|json|yaml|toml|html|conf|info|class|java|lock|properties)")
_CAMEL_PART = re.compile(r"[A-Z]?[a-zß-ɏ]+|[A-ZÀ-Þ]+")
# Digits and signs read as the letters that they stand for: `b1rd`, `k1tty`, `dr@gon`.
_AS_LETTERS = str.maketrans("0134578@$!", "oieastbasi")
_LEET = re.compile(r"(?=.{4,20}$)(?=.*[a-z])(?=.*[0134578@$][A-Za-z])[A-Za-z0134578@$]+")
_NUMBERED = re.compile(
    r"(?i)(?:ipv|sha|md|utf|mp|h|http|tls|ssl|wpa|web|base|room|step|ec|oauth)\d.*|[a-z]\d+[a-z]?|.*\d{3}.*"
)
_READABLE = re.compile(r"(?i)(?!.*[bcdfghjklmnpqrstvwxz]{5})(?=.*[aeiouy]).+")


def is_said_of_things(word: str) -> bool:
    """Whether a word is said of passwords, or stands in code and forms in a password's place."""
    lower = word.lower()
    if lower in _THINGS_AFTER_ALL or _BEGINS_ALIKE.fullmatch(lower):
        return False
    if lower in _NO_PASSWORDS or any(map(lower.__contains__, _STEMS_OF_NAMES)):
        return True
    return _SAID_OF_THINGS.fullmatch(lower) is not None


def is_plain(word: str) -> bool:
    """`moonlight`, `Vesuvio`, `blueHorse`, `sun-flower`: words, of which none is said of passwords or is code."""
    if _LETTERS.fullmatch(word):
        parts = _CAMEL_PART.findall(word)
        if len(parts) == 1:
            return not is_said_of_things(word)
    elif _JOINED.fullmatch(word) and not _FILE.fullmatch(word):
        parts = re.split(r"[-_.+&]", word)
    else:
        return False
    said = sum(map(is_said_of_things, parts))  # of many words some may be: `correct.horse.battery`
    return said == 0 or (2 * said <= len(parts) and (len(parts) > 3 or not is_said_of_things(parts[-1])))


def is_leet(word: str) -> bool:
    """`b1rd`, `k1tty`, `l0ve`: a word once its digits are read as letters."""
    if not _LEET.fullmatch(word) or _NUMBERED.fullmatch(word) or not any(map(str.isdigit, word)):
        return False
    return _READABLE.fullmatch(word.lower().translate(_AS_LETTERS)) is not None
