"""Blind identifiers and secrets, second set: chats, forms, mails and tool output; other texts than `privacy_blind`.

Written by someone who had not read the screener, its tests or its other sets. No prompt names a person or a place.
"""

import random

from benchmarks.privacy_blind_prompts import identifiers, secrets
from benchmarks.privacy_sets import Case

_LABELS = """
PHONE_NUMBER|phone, cell, tel. no., contact number|telephone, tel_number|de:Tel., Mobil|fr:tél.,
  portable|es:móvil|it:cellulare
CREDIT_CARD|credit card, debit card no., card no.|cc_number, cardNumber|de:Karte Nr.|fr:carte bancaire n°|es:tarjeta n.º
IBAN_CODE|IBAN number, account IBAN|iban_code, beneficiaryIban|de:Konto-IBAN|fr:RIB / IBAN|it:coordinate
  IBAN|pt:IBAN|nl:IBAN
EMAIL_ADDRESS|mail, email id, e-mail address|user_email, mailTo|de:Mailadresse|fr:e-mail|it:posta
  elettronica|pt:e-mail|nl:mailadres
IP_ADDRESS|source IP, host IP, IP addr|src_ip, ipAddress|de:IP|fr:IP source|it:indirizzo IP|nl:IP-adres
MAC_ADDRESS|MAC addr, device MAC, BSSID|macAddress, bssid|de:MAC|es:dirección MAC|nl:MAC-adres
CRYPTO|wallet, deposit address, payout wallet|payoutAddress, deposit_address|de:Einzahlungsadresse
  (Krypto)|es:billetera cripto
US_SSN|Social, SS number, SSN (full)|employee_ssn, ssnFull|es:seguro social de EE. UU.
US_ITIN|IRS ITIN, taxpayer ID (ITIN)|itinNumber, spouse_itin|es:ITIN del IRS
US_PASSPORT|US passport, US passport no, passport # (USA)|usPassport, passport_us
US_DRIVER_LICENSE|driver license, DL#, state driver's license|dl_number, driverLicense
UK_NHS|NHS no, patient NHS number, National Health Service number|nhsNumber, patient_nhs_no
UK_NINO|NI no., National Insurance no., NINO (HMRC)|niNumber, ni_number
UK_PASSPORT|British passport number, UK passport no|ukPassport, passport_uk
UK_DRIVING_LICENCE|UK licence no., DVLA driver number, driving licence|dvlaNumber, driver_number
FR_NIR|French NIR, French INSEE number|numeroSecu, nir_assure|fr:n° SS, numéro INSEE, sécu
DE_TAX_ID|German TIN, Steueridentifikationsnummer, tax ID (Germany)|steuerId, idnr|de:Steueridentifikationsnummer,
  Steuer-IdNr.
DE_ID_CARD|German national ID no., Personalausweis no.|ausweisNr, perso_nr|de:Ausweisnummer, Personalausweis Nr.
DE_PASSPORT|passport no. (Germany), German Reisepass|reisepassNr, pass_nr_de|de:Pass-Nr. (Reisepass), Reisepass
DE_SOCIAL_SECURITY|German SV number, Rentenversicherungsnummer|svNummer, rv_nummer|de:Sozialversicherungsnummer,
  SV-Nummer, RV-Nr.
ES_NIF|Spanish NIF, DNI (Spain)|dniNumber, documento_dni|es:DNI n.º, D.N.I., NIF del titular
ES_NIE|NIE, foreigner ID (NIE)|nieNumber, nie_trabajador|es:NIE n.º, N.I.E.
ES_PASSPORT|passport no. (Spain), Spanish passport|pasaporteNum, pasaporte_es|es:pasaporte español, n.º de pasaporte
IT_FISCAL_CODE|codice fiscale, Italian fiscal code, CF (Italy)|codiceFiscale, cf_cliente|it:cod. fiscale, codice fiscale
IT_DRIVER_LICENSE|Italian patente, Italian driving license|patenteNum, n_patente|it:patente di guida, patente B n.
IT_IDENTITY_CARD|Italian CIE number, carta d'identità no.|cieNumero, carta_identita_n|it:carta d'identità, CIE n.
IT_PASSPORT|passport no. (Italy), Italian passport|passaportoNum, passaporto_n|it:passaporto italiano, n. passaporto
IN_AADHAAR|Aadhaar card no., UIDAI number, aadhar card|aadhaarNo, uid_aadhaar|hi:आधार नंबर, आधार संख्या
IN_PAN|PAN no., PAN card, income tax PAN|panNumber, pan_no|hi:पैन नंबर, पैन कार्ड
IN_PASSPORT|passport no. (India), Indian passport|indianPassport, passport_in|hi:भारतीय पासपोर्ट नंबर
IN_VOTER|Voter ID card, EPIC no., voter card number|voterId, epicNumber|hi:मतदाता पहचान पत्र (EPIC)
"""
_FRAMES = r"""
form keeps saying invalid for <L> <V>, spaces or no spaces?
Hi team,\nplease update the record. Old entry was empty, new <L>: <V>\nThx\n\n--> shorten, keep it friendly
<L> <V>. Got that? Now make a checklist for the appointment.
hr_bot  11:41  we only need your <L> to close this\nme  11:42  <V>\nhr_bot  11:42  thanks, all set\n\nwhat should I
  answer?
Fill the template {greeting}, your request with <L> {number} was received. number = <V>, greeting = Hello
1) name: withheld\n2) <L>: <V>\n3) consent: yes\n\nput the list into a sentence
Why would anybody need my <L>? They already wrote down <V> at the counter.
MEMO — the <L> quoted in our last letter should read <V>, not the one printed. Please proofread this memo.
OCR output, fix the typos:\nAppl1cation f0rm  page 2\n<L>: <V>\nSignatvre: (see overleaf)
Is "<V>" a plausible <L>, going by length and characters?
Role-play a clerk. I will start: good morning, here is my <L>, it's <V>.
Voice note transcript: so yeah the <L> is <V>, call me back when it's done. -> bullet points
please anonymise:\n"She presented <L> <V> and paid the fee in cash."
Status\tWaiting\n<L>\t<V>\nOwner\tback office\n\nmake it a markdown table
"""
_CODE = r"""
const applicant = { <L>: '<V>', step: 3 };\n// show only the last two characters in the UI
UPDATE members SET <L> = '<V>' WHERE member_id = 90211;  -- 0 rows affected, why?
test("formats", () => {\n  expect(mask({ <L>: "<V>" })).toMatch(/\*+/);\n});\nthis fails, fix mask()
[export] row=18 <L>="<V>" result=REJECTED code=E204\nwhat could E204 stand for?
GET /lookup?<L>=<V>&format=json\n\nShould this be a POST instead?
<L>,plan,since\n<V>,basic,2021\n\nwrite an awk one-liner that drops the first column
struct Member { <L>: &'static str }\nlet m = Member { <L>: "<V>" };\nborrow checker question: does m own it?
form.set("<L>", "<V>")\nform.submit()   # selenium clicks too early
"""
_LOCAL = r"""
de:Formular ausfüllen: <L> <V>, ledig, keine Kinder. Gib mir den fertigen Text.
de:Ist das so korrekt geschrieben? <L>: <V>
de:Kundin am Telefon nannte <L> <V>. Schreib eine kurze Notiz dazu.
fr:Voici ce que le client a envoyé : <L> <V>. Réponds-lui que c'est bien reçu.
fr:Corrige les fautes : « je vous transmet mon <L> <V> comme demander »
es:Hazme un resumen del expediente. <L>: <V>. Estado: pendiente de firma.
es:Me piden otra vez lo mismo, <L> <V>, ¿qué les contesto?
it:Preparami l'autocertificazione: <L> <V>, residente dal 2019.
it:Ho ricevuto questo messaggio: "confermi <L> <V> entro oggi". È una truffa?
pt:Escreve um e-mail curto a confirmar os dados. <L>: <V>
nl:Kun je dit netter opschrijven? Mijn gegevens: <L> <V>, graag snel antwoord.
hi:कृपया आवेदन पत्र लिखें। मेरा <L> <V> है।
hi:बैंक ने <L> <V> को अस्वीकार कर दिया, शिकायत का पत्र लिखो
"""
_SPECIAL = r"""
PHONE_NUMBER|lost cat!! grey, shy. if seen please ring <V> any time. make a poster text
PHONE_NUMBER|Reception <V> | Fax <PHONE_NUMBER> | <EMAIL_ADDRESS>\ntidy up this footer
PHONE_NUMBER|what country is <V>? missed two calls from that phone today
PHONE_NUMBER|BEGIN:VCARD\nVERSION:3.0\nORG:Ridgeline Repairs\nTEL;TYPE=WORK:<V>\nEND:VCARD\n\nadd a fax line
PHONE_NUMBER|Dein Paket liegt beim Nachbarn. Fragen? Ruf uns an: <V> – bitte lockerer formulieren
PHONE_NUMBER|Pour toute question, appelez le <V> du lundi au vendredi. Traduis en anglais.
PHONE_NUMBER|twilio.messages.create(to="<V>", body="Your table is ready")  # not delivered
CREDIT_CARD|POS receipt\n<V>  APPROVED 000231\nTOTAL 42.10\nwhat does 000231 mean
CREDIT_CARD|the checkout declines <V> cvv 3 digits, valid until 11/27. what can I tell the shop
CREDIT_CARD|Can a merchant legally keep <V> on a sticky note? That's our card at the office.
IBAN_CODE|SEPA mandate: debit <V> every 1st of the month, 29.90. Rewrite in plain English.
IBAN_CODE|<V> belongs to which bank?
IBAN_CODE|Überweise bitte 120 € auf <V>, Betreff Ausflug. Mach daraus eine Nachricht an die Eltern.
EMAIL_ADDRESS|bounce: 550 5.1.1 <<V>>: Recipient address rejected: User unknown\nexplain
EMAIL_ADDRESS|add <V> and <EMAIL_ADDRESS> to the invite text below, then translate it to German: team lunch at noon
EMAIL_ADDRESS|unsubscribe link: mailto:<V>?subject=stop -- how do I prefill the body too?
IP_ADDRESS|ssh deploy@<V>: connection reset by peer. checklist?
IP_ADDRESS|traceroute stops after hop 7 (<V>), next hop should be <IP_ADDRESS>
IP_ADDRESS|acl office {\n  <V>;\n  <IP_ADDRESS>;\n};\nbind9 complains about the brace
MAC_ADDRESS|arp -a\n? (<IP_ADDRESS>) at <V> [ether] on br0\nwho could that be on my lan
MAC_ADDRESS|reserve an address for the printer <V> in dnsmasq, please
CRYPTO|Explain like I'm five: what does the explorer show for <V>?
CRYPTO|exchange wants me to whitelist <V>, is that normal?
US_SSN|i9 form section 1, they typed <V> under social security, should be corrected how?
UK_NINO|payslip: tax code 1257L, NI <V>, period 7. What is period 7?
UK_DRIVING_LICENCE|Car hire asks for the DVLA code. Licence is <V>. Where do I get it?
ES_NIF|El abajo firmante, con DNI <V>, autoriza la recogida del paquete. Hazlo más formal.
IT_FISCAL_CODE|Gentile cliente, il suo codice fiscale <V> risulta errato. Riscrivi in modo cordiale.
IN_PAN|Form 16 has PAN <V> but the AIS shows another one, what now?
DE_SOCIAL_SECURITY|Für die Anmeldung zur Krankenkasse: Versicherungsnummer der Rentenversicherung <V>. Fehlt noch etwas?
"""
_SERVICES = """
AI key|sk-svcacct-[W74]T3BlbkFJ[W74] sk-proj-[W74]T3BlbkFJ[W74] sk-ant-admin01-[W93]AA sk-ant-api03-[W93]AA csk-[L48]
  hf_[E34]
AI key|jina_[A60] pa-[W43] sk-[H32] sk_[H48] fc-[H32] gsk_[A52]
cloud key|AKIA[F16] LTAI[A20] napi_[L64] pscale_tkn_[W43] tskey-auth-k[A11]CNTRL-[A32] cfut_[A40][H8] AIza[W35]
  doo_v1_[H64]
cloud key|sb_secret_[W22]_[W8] rnd_[A28] 1//0[W100] pscale_pw_[W43]
developer key|ghs_[A36] ghu_[A36] ghp_[A36] glrt-[W20] gldt-[W20] ATBB[A24][X8] rubygems_[H48] cio[A32] oy2[L43]
  bkua_[H40]
developer key|squ_[H40] sgp_[H40] ntn_[D11][A35] pat[A14].[H64] PMAK-[H24]-[H34] CLOJARS_[H60] tfp_[A44]_[A14]
  CFPAT-[W43]
developer key|[A14].atlasv1.[A67] hvb.[W138] AGE-SECRET-KEY-1[K58]
payment key|sk_live_[A99] sq0csp-[W43] shpss_[H32] EZAK[A54] FLWSECK-[H32]-X shippo_live_[H40] duffel_live_[W43]
  rk_live_[A24]
message key|xoxe.xoxp-1-[A163] xoxb-[N1][D11]-[N1][D12]-[A24] https://discord.com/api/webhooks/[N1][D17]/[W68] key-[H32]
message key|EAA[A170] pat-na1-[H8]-[H4]-4[H3]-a[H3]-[H12] SG.[W22].[W43]
monitoring key|phx_[A43] sntrys_eyJpYXQiOjE3[B120]_[B43] glc_eyJvIjoi[B72] hcaik_01[L58] api-[H8]-[H4]-4[H3]-9[H3]-[H12]
"""
_NAMED = """
TOGETHER_API_KEY=[H64] DEEPGRAM_API_KEY=[H40] FASTLY_API_TOKEN=[W32] SPLUNK_HEC_TOKEN=[H8]-[H4]-4[H3]-a[H3]-[H12]
AUTH0_CLIENT_SECRET=[W64] SPOTIFY_CLIENT_SECRET=[H32] RAZORPAY_KEY_SECRET=[A24] PLAID_SECRET=[H30] WANDB_API_KEY=[H40]
NGROK_AUTHTOKEN=2[A26]_[N1][A20] AZURE_STORAGE_KEY=[B86]== NEW_RELIC_LICENSE_KEY=[H36]NRAL AWS_SECRET_ACCESS_KEY=[B40]
"""
_KEY_FRAMES = r"""
why "invalid_token"?\n> http GET https://api.kestrelpumps.com/stock "Authorization:Bearer <S>"
I pasted <S> into the settings page and it says expired. Where do I renew?
import requests\ns = requests.Session()\ns.headers["X-Token"] = "<S>"\n\nadd a retry policy
stages: [build]\nbuild:\n  variables:\n    REGISTRY_TOKEN: "<S>"\n  script: make\nreview this pipeline
terraform {\n  backend "remote" {\n    token = "<S>"\n  }\n}\nfmt fails on line 3
ops-bot: ALERT key leaked\nops-bot: value <S>\nme: on it\n\ndraft the incident report
login with <S> please, then list my projects
func main() {\n\tc := api.New("<S>")\n\tdefer c.Close()\n}\n// how to unit test without network
[profile dev]\nkey = <S>\nregion = eu\n\nthe tool ignores the profile
Wo trage ich den Schlüssel ein? Bekommen habe ich <S> vom Administrator.
"""
_NAME_FRAMES = r"""
export <L>="<S>"\nzsh still says variable not found in the subshell
# settings.py\n<L> = '<S>'\nDEBUG = True\nWhat is bad about this file?
flyctl secrets set <L>=<S> --app web\nError: no access token. what is missing?
{"env": {"<L>": "<S>", "NODE_ENV": "production"}}\nis this a valid mcp config
$env:<L> = "<S>"; npm start   (powershell) works, but not in cmd
support asked for our <L>, it is <S>, should I really have sent it?
"""
_KINDS = r"""
assignment in code|private static final String TOKEN = "<KEY>";\nSonar flags this line, what is the fix?
assignment in code|api_key: str = "<KEY>"\n@dataclass\nclass Settings: ...\nmove it into Settings
assignment in code|var conn = new SmtpClient("smtp") { Credentials = new NetworkCredential("robot", "<PASSWORD>") }; 
  // async version?
assignment in code|define('AUTH_KEY', '<KEY>');\nwhere do I find a generator for wp-config salts
assignment in code|encryption_key := []byte("<KEY>")\nis it long enough for AES?
configuration|<user name="etl" password="<PASSWORD>" role="writer"/>\nescape the ampersand properly in the other rows
configuration|[default]\naws_access_key_id = <AWS_ID>\naws_secret_access_key = <AWS_SECRET>\nwhich region is used?
configuration|oauth:\n  client_id: kiosk\n  client_secret: <KEY>\n  scopes: [read]\n\nadd write scope
configuration|rabbitmq.default_user=app\nrabbitmq.default_pass=<PASSWORD>\n\nhow to hash it
configuration|machine git.kestrelpumps.com login robot password <PASSWORD>\nis .netrc read by pip?
command line|PGPASSWORD='<PASSWORD>' pg_dump -h db2 -U app stock > x.sql\nrun it from cron
command line|docker login registry.kestrelpumps.com -u ci -p <BEARER>\nWARNING! Using --password via the CLI is
  insecure. why
command line|sshpass -p '<PASSWORD>' ssh ops@bastion uptime   # alternative?
command line|tool sync --token <BEARER> --dry-run | tee out.log
header|axios.get(u, { headers: { Authorization: `Bearer <BEARER>` } })\nCORS error in Safari only
header|> POST /hooks HTTP/2\n> x-auth-token: <BEARER>\n> content-length: 41\n< HTTP/2 403\nread this trace for me
header|Invoke-RestMethod $u -Headers @{ Authorization = "Basic <BASIC>" }
private key|cat id_key\n<PEM>\n\nperms are 0644, is that the problem?
private key|tls.key: |\n<PEM>\nconvert to pkcs12
private key|PRIVATE_KEY="<PEM_LINE>"\nnode reads it with backslash n inside, fix
JSON web token|Authorization header was: Bearer <JWT>\nwhen does it expire?
JSON web token|localStorage.setItem("jwt", "<JWT>")  // is it safe here
connection string|jdbc:postgresql://db3:5432/stock?user=app&password=<URL_PASSWORD>\nadd a read timeout
connection string|SQLALCHEMY_DATABASE_URI = "mysql+pymysql://stock:<URL_PASSWORD>@10.20.0.8/stock"
connection string|amqps://worker:<URL_PASSWORD>@mq.kestrelpumps.com:5671/jobs heartbeat timeout
connection string|Endpoint=sb://jobs.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=<SHARED>
connection string|host=db4 port=5432 dbname=hr user=hr_app password=<URL_PASSWORD> sslmode=require\nturn this dsn into
  a url
login URL|pip install --index-url https://reader:<URL_PASSWORD>@pypi.kestrelpumps.com/simple stocklib
login URL|ftp://scanner:<URL_PASSWORD>@nas01/in does not open in Firefox any more
told password|so the admin password is <PASSWORD> right? write it into the runbook, step 4
told password|Zugangsdaten\nNutzer: praxis2\nKennwort: <PASSWORD>\n\nBitte als Aushang formatieren
told password|la contraseña del router es <PASSWORD>, explícale a mi madre cómo conectarse
told password|La password del gestionale è <PASSWORD>. Scrivi le istruzioni per il nuovo collega.
told password|I keep typing <PASSWORD> as my password and get locked out. caps lock?
told password|tenant: what was the door app login again\nhost: user guest4, password <PASSWORD>\n\nreply nicely
"""


def second_blind_values(*, copies: int, seed: int) -> list[Case]:
    """`copies` times 4 of each identifier type (12 of phone numbers), and of each key shape, key name and frame."""
    rng = random.Random(f"second {seed}")
    found = [*identifiers(rng, _LABELS, _FRAMES, _CODE, _LOCAL, _SPECIAL, 4 * copies)]
    return [*found, *secrets(rng, _SERVICES, _NAMED, _KEY_FRAMES, _NAME_FRAMES, _KINDS, copies)]
