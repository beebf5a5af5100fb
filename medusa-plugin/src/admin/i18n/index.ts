import { de } from "./de"
import { en } from "./en"

/** Medusa's dashboard adds these to its own texts; the plugin's have a namespace of their own. */
export default { en: { dust: en }, de: { dust: de } }
