from covenue.testing.privacy import VotedSum, privacy_conformance
from covenue_privacy_open.stage import OpenSum

TestOpenSum = privacy_conformance(OpenSum)
TestVotedSum = privacy_conformance(VotedSum)
