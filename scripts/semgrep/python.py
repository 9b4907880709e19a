"""What the rules of python.yaml find, and what they leave alone; never run."""

# ruleid: sql-formatted
cursor.execute(f"SELECT * FROM {table}")
# ruleid: sql-formatted
cursor.execute("SELECT * FROM t WHERE name = '%s'" % name)
# ruleid: sql-formatted
cursor.execute("SELECT * FROM " + table)
# ruleid: sql-formatted
Model.objects.raw(f"SELECT {x}")
# ruleid: sql-formatted
Model.objects.extra(where=[x])
# ok: sql-formatted
cursor.execute("SELECT * FROM t WHERE name = %s", [name])
# ok: sql-formatted
cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))

# ruleid: html-marked-safe
mark_safe(text)
# ruleid: html-marked-safe
format_html(f"<b>{name}</b>")
# ok: html-marked-safe
format_html("<b>{}</b>", name)

# ruleid: shell-command
subprocess.run("ls " + folder, shell=True, env={})
# ruleid: shell-command
os.system("ls")
# ok: shell-command
subprocess.run(["ls", folder], env={})

# ruleid: yaml-load
yaml.load(text, Loader=yaml.Loader)
# ruleid: yaml-load
yaml.load(text)
# ok: yaml-load
yaml.safe_load(text)
# ok: yaml-load
yaml.load(text, Loader=yaml.SafeLoader)

# ruleid: code-from-data
eval(text)
# ruleid: code-from-data
pickle.loads(content)
# ok: code-from-data
json.loads(content)

# ruleid: request-without-timeout
requests.get(url)
# ruleid: request-without-timeout
urllib.request.urlopen(url)
# ruleid: request-without-timeout
socket.create_connection(("localhost", 80))
# ok: request-without-timeout
requests.get(url, timeout=5)
# ok: request-without-timeout
urllib.request.urlopen(url, timeout=5)

# ruleid: tls-unverified
requests.get(url, timeout=5, verify=False)
# ok: tls-unverified
requests.get(url, timeout=5)

# ruleid: weak-hash
hashlib.md5(content)
# ruleid: weak-hash
hashlib.sha1(content)
# ok: weak-hash
hashlib.sha256(content)

# ruleid: random-guessable
random.choice(letters)
# ok: random-guessable
secrets.choice(letters)

# ruleid: temporary-name
tempfile.mktemp()
# ok: temporary-name
tempfile.mkstemp()

# ruleid: owner-of-link
os.chown(path, 1, 1)
# ok: owner-of-link
os.chown(path, 1, 1, follow_symlinks=False)

# ruleid: archive-extracted-whole
archive.extractall(folder)
# ok: archive-extracted-whole
archive.extractfile(member)

# ruleid: secret-logged
log.info("signed in with %s", password)
# ruleid: secret-logged
logger.warning("refused", row.token)
# ok: secret-logged
log.info("signed in as %s", username)

# ruleid: secret-compared
if given == row.secret:
    pass
# ok: secret-compared
if hmac.compare_digest(given, row.secret):
    pass

# ruleid: xml-parsed
xml.etree.ElementTree.parse(file)

# ruleid: environment-inherited
subprocess.run(["ls"])
# ok: environment-inherited
subprocess.run(["ls"], env={"PATH": "/usr/bin"})
