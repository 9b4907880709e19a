"""Application hosts: `http://<slug>.apps.<portal host>/`, an origin of its own for every environment.

How a browser gets in:

1. It asks an application host for a page. Without a session there, the host leaves a *verifier* (a random cookie of
   its own) and sends the browser to the portal with the *challenge* (the verifier's hash) and the path asked for.
2. The portal, which knows who is signed in, issues a *ticket* when the person may use the environment: signed, good for
   a minute, once, and only for that challenge. A copied link is worth nothing in any other browser.
3. The application host takes the ticket, checks the verifier, and sets its own session cookie.

Every later request and WebSocket asks the portal's rows again whether this person may use this environment now; answers
are remembered for a few seconds at most. Nothing here imports a model: the caller gives a resolver.
"""
