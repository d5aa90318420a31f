/**
 * The form of ids: a UUID as everybody writes it, with lower-case letters.
 *
 * Owns the pattern alone; who takes capital letters as well lowers them first.
 */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether a text is a UUID (RFC 9562) in lower case. */
export const isUuid = (text: string): boolean => UUID.test(text)
