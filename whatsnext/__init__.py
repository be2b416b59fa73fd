"""What's NEXt: a series of talks, sign-up without a password, invitations that stay right in every calendar."""
