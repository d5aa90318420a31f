/**
 * Strings as HCL 1 has them, for whoever writes a text that is to be read again.
 *
 * Owns the escapes. A value that went through here can never end its string or be interpolated.
 */

/** A text in double quotes: HCL has JSON's escapes, but keeps what stands between `${` and `}`. */
export function quoteHcl(text: string): string {
  return JSON.stringify(text).replaceAll('${', '\\u0024{')
}
