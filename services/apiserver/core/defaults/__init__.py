"""What upstream's defaulters fill in (kubernetes `pkg/apis/*/v1/defaults.go`); each changes the object in place."""
