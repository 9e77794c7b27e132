urlpatterns = []
app_name = "twofa"
