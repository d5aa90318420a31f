/** Writes the pages of docs/ that are made from the sources. Part of `npm run format`. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { madePages } from './pages.ts'
import { root } from './source.ts'

for (const [file, text] of madePages()) writeFileSync(path.join(root, file), text)
