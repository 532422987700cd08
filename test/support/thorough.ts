/** CI runs every test at its full length. A user's run, which is to end within three minutes, takes shorter ones. */
export const isThorough = process.env.EPHEMERAL_TEST_REQUIRE === "all";
