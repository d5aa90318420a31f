/**
 * The verb `policy fmt`: the file of a policy in the one layout.
 *
 * Owns that nothing but the layout changes: what is written is parsed again and compared, and the
 * file is replaced as a whole.
 */
import { readFile, stat } from 'node:fs/promises'
import { same } from '../../base/equal.ts'
import { messageOf } from '../../base/errors.ts'
import { writeFileAtomic } from '../../base/io/file.ts'
import { parse } from '../../hcl/hcl.ts'
import { PolicyProblem, parsePolicy } from '../../secrets/policy/mod.ts'
import { localVerb } from './command.ts'
import { Failure } from './failure.ts'
import { laidOut } from './hcl-layout.ts'

export const policyFmt = localVerb({
  usage: 'FILE   (in HCL)',
  flags: [],
  examples: ['web.hcl'],
  args: [1, 1],
  async run({ args, io }) {
    const file = (args[0] ?? '').trim().replace(/^~(?=\/)/, io.environment.HOME ?? '~')
    let text: string
    try {
      text = await readFile(file, 'utf8')
    } catch (error) {
      throw new Failure(`Error reading source file: ${messageOf(error)}`, 1)
    }
    if (text.trimStart().startsWith('{')) {
      throw new Failure(`${file}: it is JSON; only HCL has a layout here`, 1)
    }
    const before = parsed(file, text)
    const policy = parsePolicy(text)
    if (policy instanceof PolicyProblem) throw new Failure(`${file}: ${policy.text}`, 1)
    const after = laidOut(text)
    if (!same(before, parsed(file, after))) {
      throw new Failure(`${file}: it cannot be laid out without a change of what it says`, 1)
    }
    await writeFileAtomic(file, after, { modeBits: (await stat(file)).mode & 0o777 })
    io.print(`Success! Formatted policy: ${file}`)
    return 0
  },
})

function parsed(file: string, text: string) {
  try {
    return parse(text, { format: 'hcl' })
  } catch (error) {
    throw new Failure(`${file}: ${messageOf(error)}`, 1)
  }
}
