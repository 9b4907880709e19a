"""Pages of environments. Every view reads rows through `visible_to`, so that what is hidden is a 404; services refuse
with a 403 what may be seen but not changed. GET changes nothing."""
