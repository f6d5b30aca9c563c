"""The leaderboard: `bench leaderboard` serves it with Streamlit, `bench export site` writes it as files. It only reads."""
