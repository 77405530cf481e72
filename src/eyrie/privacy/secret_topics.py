"""Words that speak of secrets, of what they open, and of what is done with them, in seven languages.

Which topic a word belongs to (`topic_of`) is what `eyrie.privacy.secret_candidates` and `eyrie.privacy.secret_features`
know of language; all else they see is how words look and where they stand.
"""

import re

from eyrie.privacy.phrases import Phrases

# codespell:ignore-begin
# What is spoken of, by the words that say so; `|` at a side of a stem is the edge of the word.
_TOPICS = {
    "password": """
        passwor passwd passw| pword| passphrase |passe| motdepasse |pass| |passes| |pw| |pws| |pwd| |pwds| |psw|
        |mdp| |mdps| kennwort kennwörter losungswort contrase |senha |clave| |claves| wachtwoord wachtzin
        |secreto| |secreta| |memorable |merkwort |logwort |geheime |geheim| |segreta |segreto |segreda |secret|
        |secrets| |secrète| codeword kodewort codewort stichwort zauberwort |parola| |parole| |paswoord |pwort|
    """,
    "number": """
        |pin| |pins| |pincode |puk| |otp| |tan| |2fa| |mfa| passcode |code |codes| code| codes| cvv| geheimzahl
        kombi |nummer| |ziffer |códig |codig |codice| |codici| |combi| |combo| combina digicode chiffres |cifre|
        cijfers| digits| bestätigung vérifi |verifi |token| |sms| recovery rescue wiederherst récupér recuper
        herstel backup
    """,
    "lock": """
        |lock |locks| |locker |unlock padlock keysafe |spind |schrank |kiste |fach| |aufzug |tiefgarage hoftor
        |portillon |casier |armoire |cajetín |taquilla |trastero |cantina| |armadietto |cantinetta |kelder
        |kast| fietsenstalling cijferslot |cofrinho |armário |barrier |turnstile |safe| |safes| |vault keypad
        |keybox alarm |gate| |gates| |door garage| entrance |entry| |entrée| schloss schlüssel |tresor tür|
        |tür| |porte| |portail| |coffre cadenas verrou serrure interphone |puerta| |portal| candado |caja|
        cerradura |porta| |portone| cancello |cassaforte lucchetto serratura allarme |cofre| cadeado portão
        fechadura |kluis deur| |slot| |hek| poort sleutel voicemail messagerie |sim| |karte| |card| |carte|
        |carta| |tarjeta| keyless disarm entsperr déverrou desbloq sblocc freischalt ontgrendel
    """,
    "login": """
        |login |log| |logged| |logging| |logon| |sign| |signing| |signed| |signin |user| |users| username |account
        |acct| credential |creds| |cred| |access| portal |vpn| |rdp| |ssh| |ftp| |sftp| |citrix anmeld einlog
        eingelogg ausgesperrt zugang zugriff benutzer |konto| |konten| kennung |compte| |comptes| connexion |connect
        identifi |accès| utilisateur |sesión| usuario |cuenta| |cuentas| |acceso| |accede| |entra| |entrar| utente
        |accesso| accedi credenzial |conta| |contas| acesso utilizador usuário gebruiker inlog aanmeld toegang
        authenti autentic |admin| |root| hacked gehackt piraté
    """,
    "network": """
        |wifi |wlan |fi| ssid hotspot router |psk| |wpa wpa| netzwerk |réseau| |rete| |rede| netwerk |network|
        fritzbox
    """,
    "cipher": """
        encrypt decrypt verschlüssel entschlüssel chiffr cifrad cifrat descifr decifr decritt critt versleutel |gpg|
        |pgp| |zip| |rar| |7z| |pdf| keepass bitwarden 1password lastpass dashlane keychain bitlocker veracrypt
        |luks keystore |wallet| |seed| mnemonic |protect geschützt protég protegid protett beveiligd
    """,
    "strength": """
        |strong |weak |guess |crack |leaked| |leak| |pwned| |breach |hash| |hashes| |hashed| hashcat |md5| |sha
        rockyou |sicher| |unsicher |schwach |geleakt| |geknackt| |knacken| |solide| |faible| |fuite| |robust |segur
        |débil| |filtrad |sicur |debole| |fraca| |vazou| |sterk| |zwak| |gelekt| |gekraakt| |veilig|
    """,
    "act": """
        |enter| |entered| |entering| |enters| |type| |typed| |typing| |types| |dial| |press| |punch| |keyed| |open|
        |opens| |opened| |opening| |try| |tried| |tries| |attempt |worked| |works| |accept |reject |remember |forgot
        |lasts| |eingeb |eingegeben| |eingab |eintipp |tipp |getippt| |drück |wähl |öffne |aufmach |versuch |merken|
        |vergess |funktioniert| |gilt| |tape| |taper| |tapez| |tapé| |saisi |compose |ouvr |essay |retenir| |oubli
        |marche| |rentr |refus |tecle |marqu |marca |introdu |introduce |escrib |abre |abri |abro| |intent |olvid
        |recordar| |funcion |digit |inser |scriv |apr |provat |provo| |dimentic |ricordar |funziona| |escrev |tent
        |esquec |lembrar| |toets |intoets |voer |typ |vul| |poging |probeer |vergeten| |onthoud |werkt| |inside|
        |override| |backdoor|
    """,
    "thing": """
        |combination| panel |panneau| |pannello| |tablero| netz |netz| |box| |boîte| |boite| |cabinet| |cupboard|
        |drawer| |fridge| |shed| |laptop| |tablet| |phone| |handy| |pc| |printer| |copier| |till| |kasse| |caisse|
        |tpv| |pos| |router| |nas| |server| |zoom| |meeting |webinar |invite| |link| |bitcoin| |monedero| |crypto|
        |bank |banque| |banco| |banca| |security| |sécurité| |seguridad| |sicurezza| |segurança| |entropy|
        |entropie| |entropia| bits
    """,
    "question": """
        |question| |maiden| mädchenname sicherheitsfrage |pregunta| |domanda| |pergunta| beveiligingsvraag
    """,
}
_WORDS_OF_SENTENCES = """
    a an and are as at be been but by can could did do does for from get had has have he her him his how i if in
    into is it its just like me my no not now of off on or our out over she should so some than that the their them
    then there these they this those to too up us use used using very want was we were what when where which who why
    will with would you your yes please thanks need help der die das den dem des ein eine einen einem einer eines
    und oder aber ich du er sie es wir ihr mich mir dich dir mein meine dein ist sind war waren wird werden hat
    haben hatte kann können muss müssen soll für mit von vom zu zum zur auf aus bei beim im am nicht kein keine auch
    noch nur schon wenn dann dass wie wer wo warum bitte danke als nach über unter vor um le la les un une de au aux
    et ou mais je tu il elle nous vous ils elles mon ma mes ton ta tes son sa ses notre votre leur est sont était
    été être avoir ont avait ce cette ces cet pas plus que qui quoi dont pour par sur sous dans avec sans chez vers
    si comme bonjour merci svp el los las uno unos unas y o pero yo tú él ella nosotros ellos mi mis su sus era fue
    ser está están estaba ha han había quien como cuando donde por para con sin sobre entre hasta desde muy más ya
    sí se lo al del hola gracias gli e ed io lui lei noi voi loro mio mia miei suo sua è sono erano stato hanno che
    chi come quando dove perché per senza tra fra di da alla della nel nella sul sulla non più anche ciao grazie os
    uma uns umas eu ele ela nós eles meu minha seu são foi estão estava tem tinha quem onde com sem até não sim
    também já na nas nos dos obrigado obrigada olá het een en maar ik jij hij zij ze wij jullie mijn jouw zijn haar
    ons onze wordt worden heeft hebben kan kunnen moet moeten zal zullen voor met van naar op uit bij niet geen ook
    nog dan dat dit deze wat waar waarom hoe hoi bedankt
"""
# codespell:ignore-end
FUNCTION_WORDS = frozenset(_WORDS_OF_SENTENCES.split())


def _pattern(stems: str) -> re.Pattern[str]:
    forms = (re.escape(stem).replace(r"\|", r"\b") for stem in stems.split())
    return re.compile("|".join(forms))


_OF_TOPIC = {name: _pattern(stems) for name, stems in _TOPICS.items()}
# Where one of these is spoken of, a secret may also be a word of letters or a phrase; where another one is, it has a
# digit or a sign. Words of the first have one of these in them, which is a cheaper question.
OPENING = frozenset(("login", "network", "lock"))
TELLING, HINTING = frozenset(("password", "number")), frozenset(("cipher", "strength", "question"))
# codespell:ignore-begin
TELLING_STEMS = Phrases(
    *(
        "pass",
        "pw",
        "mdp",
        "kennw",
        "losung",
        "contrase",
        "senha",
        "clave",
        "wachtw",
        "wachtz",
        "secret",
        "geheim",
        "secrè",
        "paswo",
    ),
    *("segret", "segred", "kodew", "stichw", "zauberw", "parol", "psw", "pin", "puk", "otp", " tan", "2fa", "mfa"),
    *("code", "cvv", "kombi", "nummer", "ziffer", "códig", "codig", "codic", "combi", "combo", "chiffres", "cifre"),
    *("cijfers", "digits", "bestätig", "verifi", "vérif", "token", "sms", "recover", "rescue", "wiederh", "récup"),
    *("recup", "herstel", "backup", "seed", "crypt", "wallet", "gpg", "schlüssel", "mnemonic", "chiffr"),
)
# codespell:ignore-end


def topic_of(lower: str) -> str:
    """The topic of a word in small letters: password, number, lock, login ... or "" for most words."""
    return next((name for name, pattern in _OF_TOPIC.items() if pattern.search(lower)), "")
