from covenue_privacy_open.stage import OpenSum

from covenue.testing.privacy import VotedSum, privacy_conformance

TestOpenSum = privacy_conformance(OpenSum)
TestVotedSum = privacy_conformance(VotedSum)
