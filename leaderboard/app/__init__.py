"""The script that Streamlit runs, in a folder of its own: beside `pages` it would take every file there for a page, and show those."""
