// Pins Complement, the integration suite that complement/run runs. Nothing of the suite is in this
// repository: its tests are run from Go's module cache.
//
// Do not run "go mod tidy": no package here imports the suite, so it would remove the pin. To move it,
// complement/README.md has the steps.
module conduit/complement

go 1.25.0

require github.com/matrix-org/complement v0.0.0-20260701165844-50044edb68c3
