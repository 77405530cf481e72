"""Blind identifiers and secrets, first set: prompts to an assistant at work, in code and in five languages.

Written by someone who had not read the screener, its tests or its other sets. No prompt names a person or a place.
"""

import random

from benchmarks.privacy_blind_prompts import identifiers, secrets
from benchmarks.privacy_sets import Case

_LABELS = """
PHONE_NUMBER|phone number, mobile number, callback number|phone, mobile_no|de:Telefon,
  Handynummer|fr:téléphone|es:teléfono
CREDIT_CARD|card number, credit card number, debit card number|card_number, card_no|de:Kreditkartennummer|fr:numéro de
  carte
IBAN_CODE|IBAN, bank account (IBAN)|iban, payout_iban|de:IBAN, Bankverbindung|fr:IBAN|es:IBAN, cuenta|it:IBAN
EMAIL_ADDRESS|email address, e-mail, email|email, contact_email|de:E-Mail|fr:courriel, adresse mail|es:correo
  electrónico
IP_ADDRESS|IP address, client IP, IP|client_ip, remote_addr|de:IP-Adresse|fr:adresse IP|es:dirección IP
MAC_ADDRESS|MAC address, hardware address, MAC|mac, hw_addr|de:MAC-Adresse|fr:adresse MAC|it:indirizzo MAC
CRYPTO|wallet address, crypto address, coin address|wallet, wallet_address|de:Wallet-Adresse|fr:adresse du portefeuille
US_SSN|SSN, Social Security number, social security no.|ssn, social_security_number|es:número de Seguro Social (SSN)
US_ITIN|ITIN, individual taxpayer identification number, ITIN number|itin, taxpayer_itin|es:número ITIN
US_PASSPORT|US passport number, U.S. passport no., American passport number|us_passport_no, us_passport_number
US_DRIVER_LICENSE|driver's license number, driver license no., DL number|drivers_license, driver_license_number
UK_NHS|NHS number, NHS no.|nhs_number, nhs_no
UK_NINO|National Insurance number, NI number, NINO|nino, national_insurance_no
UK_PASSPORT|UK passport number, British passport no.|uk_passport_no, uk_passport_number
UK_DRIVING_LICENCE|driving licence number, DVLA licence number, UK driving licence no.|driving_licence_no, uk_licence
FR_NIR|French social security number, NIR|nir, num_secu|fr:numéro de sécurité sociale, NIR, n° de sécu
DE_TAX_ID|German tax ID, German tax identification number, Steuer-ID|steuer_id, german_tax_id|de:Steuer-ID, IdNr.
DE_ID_CARD|German ID card number, Personalausweis number|personalausweis_nr, german_id_card|de:Personalausweisnummer
DE_PASSPORT|German passport number, German passport no.|reisepass_nr, german_passport_no|de:Reisepassnummer,
  Reisepass-Nr.
DE_SOCIAL_SECURITY|German social security number, German pension insurance number|sv_nummer,
  rvnr|de:Rentenversicherungsnummer
ES_NIF|Spanish DNI, DNI number, NIF|dni, nif|es:DNI, NIF
ES_NIE|NIE number, Spanish NIE|nie, numero_nie|es:NIE, número de extranjero (NIE)
ES_PASSPORT|Spanish passport number, Spanish passport no.|pasaporte, spanish_passport_no|es:pasaporte n.º, número de
  pasaporte
IT_FISCAL_CODE|Italian tax code, codice fiscale|codice_fiscale, cod_fisc|it:codice fiscale, C.F.
IT_DRIVER_LICENSE|Italian driving licence number, Italian driver's license no.|numero_patente, patente|it:patente n.,
  numero patente
IT_IDENTITY_CARD|Italian identity card number, Italian ID card no.|carta_identita, numero_cie|it:carta d'identità n.,
  numero CIE
IT_PASSPORT|Italian passport number, Italian passport no.|passaporto, italian_passport_no|it:passaporto n., numero
  passaporto
IN_AADHAAR|Aadhaar number, Aadhaar, Aadhar no.|aadhaar, aadhaar_number
IN_PAN|PAN, PAN card number, Indian PAN|pan_number, pan_card
IN_PASSPORT|Indian passport number, Indian passport no.|indian_passport_no, india_passport
IN_VOTER|voter ID, EPIC number, Indian voter ID number|voter_id, epic_no
"""
_FRAMES = r"""
can you fill in the application for me? my <L> is <V>, leave everything else blank
<V> is the <L> on the letter they sent me. who do I contact to have it corrected?
Rewrite this more politely:\n"We still cannot process your claim. Please confirm that <V> is your <L> by Friday."
Summarise the ticket in one line.\n#48213, 09:12: customer on the line, read out <L> <V>, wants to know why the refund
  stalled.
| field | value |\n|---|---|\n| <L> | <V> |\n| status | pending |\n\nTurn this into CSV please.
Subject: onboarding documents\n\nHello HR,\n\nas requested, <L>: <V>. The signed contract follows tomorrow.\n\nMany
  thanks
Agent: could you read me your <L>?\nCaller: sure, it's <V>\nAgent: thank you, one moment\n\nWas the agent polite enough?
my <L> (<V>) was in the data breach. what should I do first?
User asked: "is <V> right?" about the <L> on file. Draft a two-sentence answer that it was updated.
translate to Spanish: The employee's <L> is <V> and must not appear on the badge.
Notes from intake\n- documents seen: yes\n- <L> = <V>\n- next visit: in two weeks\nMake it a paragraph.
Is it safe to text my landlord my <L>? It's <V>.
Extract all identifiers as JSON:\nThe undersigned, holder of <L> <V>, declares that the information above is true.
oops, wrong one. the correct <L> is <V>!! pls redo the form
"""
_CODE = r"""
payload = {"<L>": "<V>", "consent": True}\nr = requests.post(url, json=payload)  # why do I get a 422 here?
INSERT INTO applicants (id, <L>) VALUES (7, '<V>');\n\nMake this an upsert for Postgres.
{"id": 311, "<L>": "<V>", "verified": false}\nwrite a TypeScript interface for it
2025-02-11 08:14:55,310 WARN intake.validate - duplicate record, <L>=<V> batch=77\nwhat does that warning mean?
<record><<L>><V></<L>></record>\n\nXPath to get the inner text?
customer:\n  active: true\n  <L>: "<V>"\n\nIs this valid YAML?
id;<L>;state\n19;<V>;open\n\nhow do I load it with pandas when the separator is a semicolon
assert normalise(<L>="<V>") is not None  # fails, any idea?
"""
_LOCAL = r"""
de:Bitte formuliere das als Brief an die Versicherung: <L> <V>, Vertrag gekündigt zum Jahresende.
de:Hallo, ich habe beim Antrag einen Fehler gemacht. Richtig wäre <L>: <V>. Wie korrigiere ich das?
fr:Peux-tu rédiger un courrier de résiliation ? <L> : <V>, contrat souscrit en mars.
fr:Le dossier est bloqué, ils disent que mon <L> <V> est introuvable. Que faire ?
es:Redacta una reclamación al banco, por favor. Mis datos: <L> <V>. El cargo es de enero.
es:¿Está bien escrito así en el formulario? <L>: <V>
it:Scrivi una mail all'ufficio per la pratica. Dati: <L> <V>, scadenza a giugno.
it:Mi hanno rifiutato la domanda, avevo scritto <L>: <V>. È corretto il formato?
"""
_SPECIAL = r"""
PHONE_NUMBER|Write a short out-of-office. In urgent cases people can call <V>.
PHONE_NUMBER|hey can you make this sms shorter: "Your parcel could not be delivered. Ring the driver on <V> before 6pm."
PHONE_NUMBER|Regards\nCustomer Care, Quayside Tools Ltd\nTel: <V>\nMail: <EMAIL_ADDRESS>\n\nConvert the signature to
  HTML.
PHONE_NUMBER|call me on <V> or if that's busy <PHONE_NUMBER> -- can you put both numbers in a vCard?
PHONE_NUMBER|WhatsApp <V>, available weekdays. Turn it into a flyer for my tutoring.
PHONE_NUMBER|[10:02] guest: nobody picks up\n[10:03] desk: please try our front desk phone <V>\nSummarise the chat.
CREDIT_CARD|I was charged twice on <V> exp 09/28, draft a dispute letter to the bank
CREDIT_CARD|order 5513 - paid with <V> - shipped. Reformat the line as a table row.
IBAN_CODE|Please transfer the deposit of 850 EUR to <V>, reference flat 12. Make this sound friendlier.
IBAN_CODE|invoice footer: Quayside Tools Ltd · <V> · payable in 14 days. Suggest a nicer layout.
EMAIL_ADDRESS|From: <V>\nTo: <EMAIL_ADDRESS>\nSubject: minutes\n\nPlease see attached.\n\nReply that I will be late.
EMAIL_ADDRESS|git config --global user.email "<V>" does not change old commits, how do I rewrite them?
EMAIL_ADDRESS|remove duplicates: <V>; <EMAIL_ADDRESS>; <EMAIL_ADDRESS>
IP_ADDRESS|sshd[2211]: Failed password for root from <V> port 51514 ssh2\nwhat fail2ban rule would stop this?
IP_ADDRESS|ping <V> works but port 8080 of <IP_ADDRESS> hangs. what can it be?
IP_ADDRESS|<V> - - [03/Mar/2025:11:20:41 +0000] "GET /login HTTP/1.1" 403 199\nExplain every field.
MAC_ADDRESS|DHCPACK on <IP_ADDRESS> to <V> via eth0 -- which vendor made the device?
MAC_ADDRESS|wlan0: associated with <V>, then it drops every few minutes. ideas?
CRYPTO|I sent 0.04 to <V> by mistake, can the transaction be reversed?
CRYPTO|donate: <V> (thank you!) -- write a README section around this
US_SSN|W-2 shows box a as <V> but that is my brother's social. How do I fix my tax return?
US_DRIVER_LICENSE|pulled over last night, the ticket lists driver's license <V>. is a typo grounds to contest?
FR_NIR|Sur ma carte Vitale il y a <V>, à quoi correspondent ces chiffres ?
DE_TAX_ID|Die Familienkasse verlangt die steuerliche Identifikationsnummer des Kindes, also <V>. Wo trage ich sie ein?
IN_AADHAAR|KYC rejected again, UIDAI shows <V> as active. write a complaint to the bank
UK_NHS|Referral: patient NHS No <V>, two week wait, chest clinic. Expand into a full letter.
"""
_SERVICES = """
AI key|sk-proj-[W74]T3BlbkFJ[W74] sk-[A20]T3BlbkFJ[A20] sk-ant-api03-[W93]AA sk-or-v1-[H64] hf_[E34] gsk_[A52]
  r8_[A37] xai-[A80]
AI key|pplx-[A48] nvapi-[W64] pcsk_[A5]_[A63] lsv2_pt_[H32]_[H10] tvly-dev-[A32]
cloud key|AIza[W35] GOCSPX-[W28] dop_v1_[H64] [A3]8Q~[W34] HRKU-AA[W58] ya29.a0[W160] sbp_[H40] nfp_[A36] dapi[H32]
developer key|ghp_[A36] gho_[A36] github_pat_[A22]_[A59] glpat-[A20] npm_[A36] pypi-AgEIcHlwaS5vcmc[W120] dckr_pat_[A27]
developer key|ATATT3xFfGF0[W171]=[X8] lin_api_[A40] figd_[A40] hvs.[W95] pul-[H40] dp.pt.[A43] CCIPAT_[A22]_[H40]
payment key|sk_live_[A24] rk_live_[A99] whsec_[A32] sq0atp-[W22] shpat_[H32] rzp_live_[A14]
  access-production-[H8]-[H4]-4[H3]-a[H3]-[H12]
message key|xoxb-[N1][D11]-[N1][D12]-[A24] xoxp-[N1][D11]-[N1][D11]-[N1][D12]-[H32] xapp-1-A[U10]-[N1][D12]-[H64]
  SG.[W22].[W43]
message key|https://hooks.slack.com/services/T[U8]/B[U10]/[A24] [N1][D9]:AA[W33] re_[A8]_[A24] xkeysib-[H64]-[A16]
monitoring key|NRAK-[U27] glsa_[A32]_[H8] sntryu_[H64] dt0c01.[U24].[U64]
"""
_NAMED = """
DATADOG_API_KEY=[H32] DD_APP_KEY=[H40] TWILIO_AUTH_TOKEN=[H32] AWS_SECRET_ACCESS_KEY=[B40] CLOUDFLARE_API_TOKEN=[W40]
MISTRAL_API_KEY=[A32] COHERE_API_KEY=[A40] ALGOLIA_ADMIN_KEY=[H32] AZURE_OPENAI_API_KEY=[H32] OKTA_API_TOKEN=00[W40]
MAILCHIMP_API_KEY=[H32]-us[N1] DISCORD_BOT_TOKEN=MT[A22].G[A5].[W38] SNYK_TOKEN=[H8]-[H4]-4[H3]-b[H3]-[H12]
"""
_KEY_FRAMES = r"""
401 since this morning, nothing changed:\ncurl -s -H "Authorization: Bearer <S>" https://gateway.quayside.io/v2/items
client = Client(token="<S>")\nprint(client.me())\n\nWhy is me() None?
export TOKEN=<S>\n./deploy.sh staging   # says "permission denied", what now
<S> is what they mailed me. Which header do I put it in?
I accidentally committed <S> to a public repo. What are the steps to clean up?
services:\n  worker:\n    environment:\n      - UPSTREAM_KEY=<S>\n\nIs there a better way in docker compose?
{"endpoint": "https://api.quayside.io", "key": "<S>"}\nload this in Go and fail if key is empty
Dev: rotated it, new one is <S>\nOps: ok, restarting\nDev: thanks!\n\nWrite the change record from this chat.
const KEY = '<S>';\nfetch(url, { headers: { 'X-Api-Key': KEY } });\n// move the key to the backend, how?
ERROR http: unauthorised (credential <S>) after 3 retries\nis this our fault or theirs?
"""
_NAME_FRAMES = r"""
<L>=<S>\nLOG_LEVEL=debug\n\nthe app does not see these variables, the .env is in the project root
os.environ["<L>"] = "<S>"  # ok for a notebook?
docker run -e <L>=<S> -p 80:80 app:latest fails with exit code 1
env:\n  - name: <L>\n    value: "<S>"\nhow do I move that to a Kubernetes secret?
set <L> to <S> in CI but the job prints it in clear. how can I mask it?
ENV <L> <S>\nRUN make build\n\nreview my Dockerfile
"""
_KINDS = r"""
assignment in code|String apiKey = "<KEY>";\nHttpRequest.newBuilder(uri).header("apikey", apiKey).build();\nport it to
  Kotlin
assignment in code|app.config["SECRET_KEY"] = "<KEY>"\n\nwhy are my Flask sessions lost after a restart?
assignment in code|$db_password = '<PASSWORD>';\n$pdo = new PDO($dsn, 'shop', $db_password);  // convert to mysqli
assignment in code|let client_secret = "<KEY>"; // rust\nhow can I read it from a file instead
configuration|[mail]\nhost = smtp.quayside.io\nuser = robot\npassword = <PASSWORD>\n\nconvert the ini to toml
configuration|jwt:\n  signing-key: <KEY>\n  ttl: 15m\nexplain ttl
configuration|{"auth": {"clientId": "portal", "clientSecret": "<KEY>"}}\n\nis the nesting right?
configuration|spring.datasource.username=app\nspring.datasource.password=<PASSWORD>\nwhat does HikariCP need besides?
command line|mysql -h db1 -u report -p'<PASSWORD>' sales < dump.sql  -- access denied, why?
command line|vaultctl login --user ops --password '<PASSWORD>' gives "unknown flag". Correct the command.
command line|helm upgrade web ./chart --set auth.apiKey=<KEY> --wait\nhow do I pass it from a file
header|curl https://api.quayside.io/v1/me -H 'X-API-Key: <KEY>' | jq .\nrewrite with httpie
header|GET /orders HTTP/1.1\nHost: api.quayside.io\nAuthorization: Basic <BASIC>\n\nwhat is this header?
header|headers = {"Authorization": "Token <KEY>"}  # drf returns 403
private key|Why does ssh say "invalid format" for this file?\n<PEM>
private key|<PEM>\nhow do I get the public key out of it with openssl
private key|{"type": "service_account", "private_key": "<PEM_LINE>"}\n\nMy JSON parser complains about line breaks.
JSON web token|decode this for me <JWT>
JSON web token|Set-Cookie: session=<JWT>; HttpOnly; Path=/\nWhich flags are missing?
connection string|DATABASE_URL=postgres://app:<URL_PASSWORD>@db.internal:5432/shop\nadd ssl mode to it
connection string|mongo "mongodb+srv://admin:<URL_PASSWORD>@cluster0.k3x9a.mongodb.net/test" times out
connection string|redis://:<URL_PASSWORD>@cache-1:6379/0 works locally, not in the cluster. why?
connection string|Server=tcp:sql01,1433;Database=crm;User Id=svc;Password=<URL_PASSWORD>;Encrypt=true; how do I enable
  pooling?
connection string|AccountName=media01;AccountKey=<STORAGE>;EndpointSuffix=core.windows.net\nuse it in python
login URL|git clone https://builder:<URL_PASSWORD>@git.quayside.io/core/app.git -- how do I hide that in the history?
login URL|wget https://report:<URL_PASSWORD>@files.quayside.io/q3.zip returns 401
told password|my password is <PASSWORD> and the portal says it is too weak, suggest how to improve it
told password|The guest wifi password is <PASSWORD>, make a nice sign for the lobby
told password|login: frontdesk\npassword: <PASSWORD>\n\nwrite a how-to for new colleagues with these
told password|Bitte als Anleitung: Benutzer lager, Passwort <PASSWORD>, danach auf "Weiter" klicken.
told password|Mon mot de passe est <PASSWORD> mais le site le refuse, pourquoi ?
told password|they reset it, temp pw: <PASSWORD> (change after first login). reply with thanks
"""


def blind_values(*, copies: int, seed: int) -> list[Case]:
    """`copies` times 4 of each identifier type (12 of phone numbers), and of each key shape, key name and frame."""
    rng = random.Random(f"first {seed}")
    found = [*identifiers(rng, _LABELS, _FRAMES, _CODE, _LOCAL, _SPECIAL, 4 * copies)]
    return [*found, *secrets(rng, _SERVICES, _NAMED, _KEY_FRAMES, _NAME_FRAMES, _KINDS, copies)]
