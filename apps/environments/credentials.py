"""What people read where a team has no credentials for a module, and where they are given."""

from collections.abc import Collection, Sequence
from urllib.parse import urlencode

from django.urls import reverse

from apps.accounts.models import Team, User
from apps.catalog.interface.model import ModuleInterface
from apps.variable_sets.credentials import need_words, usual_names
from apps.variable_sets.permissions import may_write_scope


def lacking_sentence(interface: ModuleInterface, teams: Collection[Team]) -> str:
    """ "This needs AWS credentials: nobody has given any for Vision. Ask a platform engineer." """
    names = " or ".join(team.name for team in teams)
    return f"This needs {need_words(interface)}: nobody has given any for {names}. Ask a platform engineer."


def lacking_notice(interface: ModuleInterface, user: User, teams: Sequence[Team]) -> dict[str, object]:
    """As components/notice.html takes it; whoever may give the credentials is led to where that is done."""
    sentence = lacking_sentence(interface, teams)
    writable = [team for team in teams if may_write_scope(user, team=team, target=interface.target)]
    if not writable:
        return {"text": sentence, "actions": []}
    scope = {"target": interface.target, "team": writable[0].slug}
    text = sentence.replace("Ask a platform engineer.", f"Give {usual_names(interface)} in a variable set.")
    url = f"{reverse('variable_sets:new')}?{urlencode(scope)}"
    return {"text": text, "actions": [{"label": "Add variable set", "url": url, "icon": "key"}]}
