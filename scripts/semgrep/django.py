"""What the rules of django.yaml find, and what they leave alone; never run."""

# ruleid: rows-without-visible-to
Environment.objects.get(pk=pk)
# ruleid: rows-without-visible-to
get_object_or_404(Environment, pk=pk)
# ruleid: rows-without-visible-to
Environment.objects.filter(pk=pk)
# ok: rows-without-visible-to
get_object_or_404(Environment.objects.visible_to(request.user), pk=pk)
# ok: rows-without-visible-to
Environment.objects.visible_to(request.user).filter(pk=pk)


# ruleid: csrf-exempt
@csrf_exempt
def hook(request):
    pass


# ruleid: debug-on
DEBUG = True
# ruleid: debug-on
ALLOWED_HOSTS = ["*"]
# ok: debug-on
DEBUG = env.boolean("DEBUG")

# ruleid: key-in-source
SECRET_KEY = "django-insecure-0123456789"
# ok: key-in-source
SECRET_KEY = env.text("SECRET_KEY")

# ruleid: redirect-unchecked
redirect(request.GET["next"])
# ruleid: redirect-unchecked
HttpResponseRedirect(request.POST.get("next"))
# ok: redirect-unchecked
redirect("accounts:account")

# ruleid: cookie-readable
response.set_cookie("name", value)
# ok: cookie-readable
response.set_cookie("name", value, httponly=True)


class Open(APIView):
    # ruleid: permission-open
    permission_classes = [AllowAny]
