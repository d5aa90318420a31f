/** A mount of transit that a test speaks to, by paths below it. */
import type { Test } from 'tap'
import { type Asked, openSecrets, type SecretsOptions } from '../../harness.ts'

export async function openTransit(t: Test, options: SecretsOptions = {}) {
  const secrets = await openSecrets(t, options)
  await secrets.mount('transit', 'transit/')
  return {
    secrets,
    read: (path: string, asked?: Asked) => secrets.read(`transit/${path}`, asked),
    list: (path: string, asked?: Asked) => secrets.list(`transit/${path}`, asked),
    remove: (path: string, asked?: Asked) => secrets.remove(`transit/${path}`, asked),
    post: (path: string, data: Asked['data'] = {}) => secrets.post(`transit/${path}`, data),
  }
}
