// Bundles the page with what `web/` has installed: a package is looked for there, as the library itself finds it.

import { fileURLToPath } from 'node:url'

const web = fileURLToPath(new URL('../../../web/package.json', import.meta.url))

export default {
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [
    {
      name: 'packages-of-web',
      enforce: 'pre',
      resolveId(source, importer, options) {
        const bare = /^[a-z@]/.test(source) && importer?.startsWith(this.environment.config.root)
        return bare ? this.resolve(source, web, { ...options, skipSelf: true }) : null
      },
    },
  ],
  build: {
    target: 'es2020',
    lib: { entry: 'page.ts', formats: ['es'], fileName: () => 'page.js' },
    reportCompressedSize: false,
  },
}
