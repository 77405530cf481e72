"""Keys, tokens and passwords, by the shapes their issuers document.

Patterns only, no entropy: entropy plug-ins flagged 195 of 197 clean prompts. Every pattern is anchored on an issuer's
prefix, on a syntax (a password in a URL, a private key block) or on words ("my password is ..."), and none is reported
inside a longer word.
"""

import re

from eyrie.privacy.shapes import Shape, ShapeRecognizer

_B64 = r"[A-Za-z0-9_-]"
# issuer -> pattern. `(?=...\d)` asks for a digit, so that words joined by hyphens are not keys.
_PREFIXED = {
    "aws access key": r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}",
    "openai, anthropic, openrouter, deepseek": rf"sk-(?=[\w-]*\d){_B64}{{20,}}",
    "google api": rf"AIza{_B64}{{35}}",
    "google oauth": rf"ya29\.{_B64}{{20,}}|GOCSPX-{_B64}{{28}}",
    "github": r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}",
    "gitlab": rf"gl(?:pat|oas|dt|rt|cbt|ptt|ft|soat|imt|agent)-{_B64}{{20,}}",
    "slack": r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}",
    "slack webhook": r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_]{20,}",
    "hugging face": r"(?:hf|api_org)_[A-Za-z]{34}",
    "npm": r"npm_[A-Za-z0-9]{36}",
    "pypi": rf"pypi-AgE{_B64}{{50,}}",
    "stripe": r"(?:sk|rk|pk)_(?:live|test|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{24,}",
    "square": rf"EAAA{_B64}{{60}}|sq0(?:atp|csp)-{_B64}{{22,}}",
    "vault": rf"hv[sbr]\.{_B64}{{24,}}",
    "sendgrid": rf"SG\.{_B64}{{16,}}\.{_B64}{{16,}}",
    "twilio": r"(?:SK|AC)[0-9a-f]{32}",
    "mailgun": r"key-[0-9a-f]{32}",
    "telegram": rf"\d{{8,10}}:AA{_B64}{{33}}",
    "discord": rf"[MNO]{_B64}{{23,25}}\.{_B64}{{6}}\.{_B64}{{27,}}",
    "digitalocean": r"do[oprt]_v1_[0-9a-f]{64}",
    "shopify": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "databricks": r"dapi[0-9a-f]{32}",
    "groq, perplexity, replicate, xai": r"(?:gsk_|pplx-|r8_|xai-)[A-Za-z0-9]{36,}",
    "age": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    "airtable, hubspot": r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}|pat-[a-z]{2}\d-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "atlassian": rf"ATATT3x{_B64}{{100,}}(?:=[0-9A-F]{{8}})?",
    "azure client": r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}",
    "docker hub": rf"dckr_[op]at_{_B64}{{24,}}",
    "doppler": r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,}",
    "facebook": r"EAA[A-Za-z0-9]{90,}",
    "grafana": r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}|glc_[A-Za-z0-9+/]{32,}={0,2}",
    "linear": r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}",
    "mailchimp": r"[0-9a-f]{32}-us\d{1,2}",
    "new relic": r"NRAK-[A-Z0-9]{27}",
    "notion": r"ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}",
    "nvidia, pinecone, tavily, langsmith": rf"(?:nvapi-|pcsk_|tvly-|lsv2_)(?=[\w-]*\d){_B64}{{24,}}",
    "planetscale": rf"pscale_(?:tkn|pw|oauth)_{_B64}{{32,}}",
    "postman": r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "sentry": r"sntry[su]_[\w+/=-]{40,}",
    "supabase": r"sb[pv]_[0-9a-f]{40}",
    "terraform cloud": rf"[A-Za-z0-9]{{14}}\.atlasv1\.{_B64}{{60,}}",
    "azure storage": r"AccountKey=[A-Za-z0-9+/]{86}==",
    "json web token": rf"eyJ{_B64}{{8,}}\.eyJ{_B64}{{8,}}\.{_B64}{{8,}}",
}
# The phrases without which a pattern has nothing to find, and the pattern.
_SYNTAX = {
    "private key": (
        ("-----begin",),
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\s\S]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|[\s\S]*)",
    ),
    "putty key": (("putty",), r"PuTTY-User-Key-File-\d[\s\S]*?Private-MAC: [0-9a-f]+"),
    # A literal password: `user:pass@host` with placeholders such as <pass>, {pass}, $PASS is left alone.
    "password in url": (
        ("://",),
        r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@<>{}$\[\]()]*:(?!(?:pass|password|pwd|secret|\*+)@)"
        r"[^\s:/@<>{}$\[\]()]{3,}@[^\s/@<>{}$]+",
    ),
    "bearer token": (
        ("bearer",),
        r"(?i:\bbearer)\s+(?=[A-Za-z0-9._~+/-]*\d)[A-Za-z0-9._~+/-]{20,}=*",
    ),
    "basic authorization": (("basic",), r"(?i:\bauthorization\s*:\s*basic)\s+[A-Za-z0-9+/]{12,}=*"),
    "aws secret key": (
        ("aws",),
        r"(?i:\baws[\w ]{0,20}secret[\w ]{0,20})[\"']?\s*(?:[=:]|is)\s*"
        r"[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    # A quoted literal with a digit given to a name that says it is secret; a call or a variable is code, not a secret.
    "assigned secret": (
        ("key", "secret", "passw", "token"),
        r"(?i:\b[\w.-]{0,40}(?:api[_-]?key|secret|passwd|password|access[_-]?token|auth[_-]?token)"
        r"(?:[_-]?key)?(?:[_-]?\d+)?)[\"']?\s*(?:=|:|=>|:=)\s*"
        r"(?:\"(?=[^\"\s]*\d)[^\"\s${<]{8,}\"|'(?=[^'\s]*\d)[^'\s${<]{8,}')",
    ),
    # Unquoted, one to a line: capitals as in an .env file, or a key of YAML; the value has a letter and a digit.
    "assigned line": (
        ("key", "secret", "passw", "token"),
        r"(?m:^)[ \t-]*(?:(?:export )?(?:[A-Z][A-Z0-9]{0,20}_){0,4}"
        r"(?:PASSWORD|PASSWD|SECRET|TOKEN|API_KEY|SECRET_KEY|ACCESS_KEY|PRIVATE_KEY)=|"
        r"(?:[a-z]+[_-]){0,2}(?:password|passwd|secret|token|api[_-]?key|access[_-]?key): +)"
        r"(?=[^\s\d]*\d)(?=[^\sA-Za-z]*[A-Za-z])[A-Za-z0-9!#%^&*+/=_.~@-]{8,}(?m:[ \t]*$)",
    ),
    "command line": (
        ("pass", "token", "secret", "-u", "key"),
        r"(?<![\w-])(?:--(?:password|passwd|pass|token|secret|api-key)[= ]|(?:-u|--user)[= ][\w.@-]+:)"
        r"[\"']?(?=[^\s\"']*\d)[A-Za-z0-9!#%^&*+/=_.~@-]{6,}",
    ),
    "header": (
        ("x-",),
        r"(?i:\bx-(?:[a-z]+-){0,2}(?:key|token|secret))[\"']?\s*:\s*[\"']?(?=[\w.~+/-]*\d)[\w.~+/-]{16,}=*",
    ),
    "password in other words": (
        ("mot de passe", "mdp", "passwort", "kennwort", "contrase"),  # codespell:ignore mot
        r"(?i:\b(?:mot de passe|mdp|passwort|kennwort|contraseña)(?: [^\W\d_]+){0,2} ?"  # codespell:ignore mot
        r"(?:est|ist|lautet|es|:|=)\s*:?\s*)"  # codespell:ignore ist
        r"[\"'`]?(?=[^\s\"'`]*\d)[^\s\"'`(){}]{4,}",
    ),
    "password in words": (
        ("password", "passcode", "passphrase", "pin"),
        r"(?i:\b(?:my|our|the|its|your|his|her|their)\s+(?:[\w-]+\s+){0,2}"
        r"(?:password|passcode|passphrase|pin)\s+(?:is|was|:)\s*:?\s*)[\"'`]?(?=[^\s\"'`]*\d)[^\s\"'`(){}]{4,}",
    ),
}
_PREFIX = re.compile(r"(?<![A-Za-z0-9_])(?:" + "|".join(_PREFIXED.values()) + r")(?![A-Za-z0-9])")
_KEY = re.compile(r"[\w+/-]{15}|eyJ|\dQ~")  # a part of everything that has a prefix


class SecretRecognizer(ShapeRecognizer):
    """SECRET: API keys, access tokens, private keys and passwords; the syntax around a value belongs to the span."""

    ENTITY = "SECRET"
    SHAPES = (Shape(_PREFIX, gate=_KEY), *(Shape(re.compile(item), phrases) for phrases, item in _SYNTAX.values()))
    SCORE = 0.9
