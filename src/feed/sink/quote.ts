/**
 * How values that somebody else chose stand in files, by what the file is.
 *
 * Owns the forms. What a form cannot take is refused, never repaired: a name that was changed names
 * something else. Pure.
 */
import type { Quote } from './template.ts'

/** The forms by the name that settings use. */
export const quotes = {
  /** One word of plain characters, as most configuration files take it without quotes. */
  word: value => (/^[A-Za-z0-9_.:@/+=,~-]+$/.test(value) ? value : undefined),
  /** Anything that stays in its line. */
  line: value => (/[\p{Cc}\u2028\u2029]/u.test(value) || !value.isWellFormed() ? undefined : value),
  /** Within double quotes of JSON, YAML or TOML. */
  json: value => {
    const text = JSON.stringify(value.toWellFormed()).slice(1, -1)
    return text.replaceAll(/[\u007f-\u009f\u2028\u2029]/g, escaped)
  },
  /** One word of a shell, with its quotes. */
  shell: value => (value.includes('\0') ? undefined : `'${value.replaceAll("'", "'\\''")}'`),
} as const satisfies Readonly<Record<string, Quote>>

const escaped = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** A form of the list. */
export type QuoteName = keyof typeof quotes

/** The names of the forms. */
export const quoteNames = Object.keys(quotes) as readonly QuoteName[]
