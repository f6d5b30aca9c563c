"""The app that `bench leaderboard` serves, the database in $PERPASS_DB."""

from __future__ import annotations

import streamlit as st

from leaderboard import data, links, words
from leaderboard.pages import attempt, cell, compare, curves, external, frontier, live, procedures, stress, table
from perpass.errors import PerPassError

PAGES = {
    "Frontier": (frontier.page, ":material/trending_up:"),
    "Table": (table.page, ":material/table_rows:"),
    "Cell": (cell.page, ":material/grid_view:"),
    "Attempt": (attempt.page, ":material/article:"),
    "Compare": (compare.page, ":material/compare_arrows:"),
    "Curves": (curves.page, ":material/show_chart:"),
    "Live": (live.page, ":material/speed:"),
    "External": (external.page, ":material/public:"),
    "Stress": (stress.page, ":material/stacked_line_chart:"),
    "Procedures": (procedures.page, ":material/checklist:"),
}
STYLE = """<style>
.block-container { padding-top: 4.5rem; padding-bottom: 3rem; max-width: 1180px; }
[data-testid="stCode"] pre { max-height: 28rem; }
[data-testid="stMarkdownContainer"] code { white-space: nowrap; }
[data-testid="stPageLink"] p { white-space: normal; }
[data-testid="stMetricValue"] { font-size: 1.6rem; }
.where { display: none; font-weight: 600; opacity: 0.7; }
@media (max-width: 640px) { .block-container { padding-left: 0.8rem; padding-right: 0.8rem; } .where { display: block; } }
</style>"""
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="96" height="24" viewBox="0 0 96 24"><text x="0" y="18" fill="#3b82f6"
 font-family="system-ui, sans-serif" font-size="19" font-weight="700">PerPass</text></svg>"""  # readable on white and on black


def main() -> None:
    """Set the pages up, and show the one that the address names; what goes wrong is one sentence."""
    st.set_page_config("PerPass", ":material/trending_up:", layout="wide")
    st.logo(LOGO)
    for n, (name, (function, icon)) in enumerate(PAGES.items()):
        links.PAGES[name] = st.Page(_guarded(name, function), title=name, icon=icon, url_path=name.lower(), default=n == 0)
    st.navigation(list(links.PAGES.values()), position="top").run()


def _guarded(name, function):  # type: ignore[no-untyped-def]
    def run() -> None:
        st.html(f'{STYLE}<div class="where">{name}</div>')  # a phone shows no row of pages
        try:
            if name != "External" and data.catalogue().empty:
                st.info("no cells: nothing was run yet. `bench run demo` fills the database.")
                return
            function()
        except PerPassError as error:
            st.error(words.markdown(error))

    return run


main()
