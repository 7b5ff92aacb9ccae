// A bundle with its code cache: what V8 has made of the source when it was built, so that it need not be made again at every
// start. Another Node than the builder's refuses the cache and compiles the source.
import { Script } from 'node:vm'

export interface Bundle<Exports> {
  /** Runs it, as Node's own loader would. */
  load(require: NodeJS.Require): Exports
  /** What V8 knows of it now. */
  createCodeCache(): Buffer
}

export function compileBundle<Exports>(file: string, source: string, codeCache?: Buffer): Bundle<Exports> {
  const script = new Script(`(function (exports, require, module, __filename) {${source}\n})`, {
    filename: file,
    ...(codeCache && { cachedData: codeCache }),
  })
  return {
    load(require) {
      const module = { exports: {} as Exports }
      script.runInThisContext()(module.exports, require, module, file)
      return module.exports
    },
    createCodeCache: () => script.createCachedData(),
  }
}
