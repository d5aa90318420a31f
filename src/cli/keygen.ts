/**
 * The verb `keygen`: a new key for `encrypt`.
 *
 * Owns its size, which Consul's agents check.
 */
import type { Command } from './command.ts'

const KEY_SIZE_BYTES = 32

export const keygen: Command = {
  usage: '',
  flags: [],
  examples: [''],
  async run({ io }) {
    io.print(io.random.bytes(KEY_SIZE_BYTES).toString('base64'))
    return 0
  },
}
