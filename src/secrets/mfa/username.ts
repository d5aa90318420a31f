/**
 * The name that a service of second factors knows somebody by.
 *
 * Owns what stands for it: the name of his entity, or a text with templates over his identity. What
 * stands for nothing is no name. Pure.
 */
import type { PolicyIdentity } from '../policy/mod.ts'
import { textFor } from '../policy/template.ts'

/** Short words for what is meant mostly; an alias is the one that logs in. */
const ENTITY_NAME = /^entity\.name$/
const ALIAS_NAME = /^alias\.name$/

/** The name of somebody; undefined where the format has none for him. */
export function usernameFor(
  format: string,
  identity: PolicyIdentity,
  aliasName: string,
): string | undefined {
  if (format === '') return identity.name
  let isWhole = true
  const name = format.replaceAll(/\{\{(.*?)\}\}/gs, (_, selector: string) => {
    const asked = selector.trim()
    const value = ENTITY_NAME.test(asked)
      ? identity.name
      : ALIAS_NAME.test(asked)
        ? aliasName
        : textFor(asked, identity)
    if (value === undefined || value === '') isWhole = false
    return value ?? ''
  })
  return isWhole && !/\p{Cc}/u.test(name) ? name : undefined
}
