"""Where memory goes, as `archcalc memory` shows it: what is asked, what comes of it, and its views."""
