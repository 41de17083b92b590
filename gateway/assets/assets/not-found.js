// The page for addresses that lead nowhere has nothing of its own to do.

import { loadProfile, loadSession } from "./page.js";

loadSession();
// Away or not, this page has been said; the theme stays as it was.
loadProfile().catch(() => {});
