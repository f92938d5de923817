// Makes golden.json: headers, blocks, commits and hashes as CometBFT itself makes them, for tests/golden.rs.
//
//	go mod tidy && go run . > golden.json
package main

import (
	"bytes"
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/crypto/merkle"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/proto/tendermint/version"
	"github.com/cometbft/cometbft/types"
)

const chainID = "golden-shard-0"

type validator struct {
	Seed    string `json:"seed"`
	Key     string `json:"key"`
	Address string `json:"address"`
	Power   int64  `json:"power"`
}

type block struct {
	Height         int64    `json:"height"`
	Secs           int64    `json:"secs"`
	Nanos          int      `json:"nanos"`
	Txs            []string `json:"txs"`
	AppHash        string   `json:"app_hash"`
	Results        []result `json:"results_before"`
	Round          int32    `json:"round"`
	Signers        []int    `json:"signers"`
	HeaderHash     string   `json:"header_hash"`
	DataHash       string   `json:"data_hash"`
	LastCommitHash string   `json:"last_commit_hash"`
	ConsensusHash  string   `json:"consensus_hash"`
	ResultsHash    string   `json:"results_hash"`
	ValidatorsHash string   `json:"validators_hash"`
	PartsTotal     uint32   `json:"parts_total"`
	PartsHash      string   `json:"parts_hash"`
	BlockBytesHash string   `json:"block_bytes_hash"`
	LightBlock     string   `json:"light_block"`
}

type result struct {
	Code      uint32 `json:"code"`
	Data      string `json:"data"`
	Log       string `json:"log"`
	GasWanted int64  `json:"gas_wanted"`
	GasUsed   int64  `json:"gas_used"`
}

type golden struct {
	About      string      `json:"about"`
	ChainID    string      `json:"chain_id"`
	AppVersion uint64      `json:"app_version"`
	MaxBytes   int64       `json:"max_bytes"`
	MaxGas     int64       `json:"max_gas"`
	Secs       int64       `json:"genesis_secs"`
	Nanos      int         `json:"genesis_nanos"`
	Validators []validator `json:"validators"`
	Blocks     []block     `json:"blocks"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	out := golden{
		About:   "CometBFT v0.38.26, its packages types, abci/types, crypto/ed25519 and crypto/merkle",
		ChainID: chainID, AppVersion: 1, MaxBytes: 4194304, MaxGas: -1, Secs: 1700000000, Nanos: 250000000,
	}
	keys := map[string]ed25519.PrivKey{}
	var vals []*types.Validator
	for i, power := range []int64{10, 7, 7, 1} {
		seed := bytes.Repeat([]byte{byte(i + 1)}, 32)
		key := newKey(seed)
		keys[string(key.PubKey().Address())] = key
		vals = append(vals, types.NewValidator(key.PubKey(), power))
		out.Validators = append(out.Validators, validator{
			hex.EncodeToString(seed), hex.EncodeToString(key.PubKey().Bytes()), hex.EncodeToString(key.PubKey().Address()), power})
	}
	set := types.NewValidatorSet(vals)
	params := types.DefaultConsensusParams()
	params.Block.MaxBytes, params.Block.MaxGas = out.MaxBytes, out.MaxGas

	blockTime := time.Unix(out.Secs, int64(out.Nanos)).UTC()
	lastCommit := &types.Commit{}
	lastID := types.BlockID{}
	var results []*abci.ExecTxResult
	txs := [][][]byte{
		{},
		{[]byte("one")},
		{bytes.Repeat([]byte("a"), 100000), []byte(""), bytes.Repeat([]byte("b"), 70000)},
		{},
	}
	for i, blockTxs := range txs {
		height := int64(i + 1)
		var appHash []byte
		if i > 0 {
			appHash = bytes.Repeat([]byte{byte(0xa0 + i)}, 32)
		}
		var data types.Data
		for _, tx := range blockTxs {
			data.Txs = append(data.Txs, types.Tx(tx))
		}
		b := types.MakeBlock(height, data.Txs, lastCommit, nil)
		b.Version = version.Consensus{Block: 11, App: out.AppVersion}
		b.ChainID, b.Time, b.LastBlockID = chainID, blockTime, lastID
		b.ValidatorsHash, b.NextValidatorsHash = set.Hash(), set.Hash()
		b.ConsensusHash, b.AppHash = params.Hash(), appHash
		b.LastResultsHash = types.NewResults(results).Hash()
		if results == nil {
			b.LastResultsHash = merkle.HashFromByteSlices(nil)
		}
		b.ProposerAddress = set.Validators[0].Address
		parts, err := b.MakePartSet(types.BlockPartSizeBytes)
		check(err)
		id := types.BlockID{Hash: b.Hash(), PartSetHeader: parts.Header()}

		round, voteTime := int32(i), blockTime.Add(1500 * time.Millisecond)
		if i == 2 {
			voteTime = blockTime.Add(time.Second)
		}
		commit := &types.Commit{Height: height, Round: round, BlockID: id}
		signers := []int{0, 1, 2, 3}
		if i == 1 {
			signers = []int{0, 2}
		}
		for index, val := range set.Validators {
			sig := types.NewCommitSigAbsent()
			for _, s := range signers {
				if s == index {
					sig = types.CommitSig{BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: val.Address, Timestamp: voteTime}
				}
			}
			commit.Signatures = append(commit.Signatures, sig)
			if sig.BlockIDFlag == types.BlockIDFlagCommit {
				bz := commit.VoteSignBytes(chainID, int32(index))
				s, err := keys[string(val.Address)].Sign(bz)
				check(err)
				commit.Signatures[index].Signature = s
			}
		}
		check(set.VerifyCommitLight(chainID, id, height, commit))

		plain := &types.ValidatorSet{Validators: []*types.Validator{}}
		for _, v := range set.Validators {
			plain.Validators = append(plain.Validators, &types.Validator{
				Address: v.Address, PubKey: v.PubKey, VotingPower: v.VotingPower})
		}
		plainProto := &cmtproto.ValidatorSet{TotalVotingPower: set.TotalVotingPower()}
		for _, v := range plain.Validators {
			p, err := v.ToProto()
			check(err)
			plainProto.Validators = append(plainProto.Validators, p)
		}
		light := cmtproto.LightBlock{
			SignedHeader: (&types.SignedHeader{Header: &b.Header, Commit: commit}).ToProto(), ValidatorSet: plainProto}
		lightBytes, err := light.Marshal()
		check(err)
		protoBlock, err := b.ToProto()
		check(err)
		blockBytes, err := protoBlock.Marshal()
		check(err)

		entry := block{Height: height, Secs: blockTime.Unix(), Nanos: blockTime.Nanosecond(), Round: round, Signers: signers,
			AppHash: hex.EncodeToString(appHash), Txs: []string{}, Results: []result{},
			HeaderHash: hex.EncodeToString(b.Hash()), DataHash: hex.EncodeToString(b.DataHash),
			LastCommitHash: hex.EncodeToString(b.LastCommitHash), ConsensusHash: hex.EncodeToString(b.ConsensusHash),
			ResultsHash: hex.EncodeToString(b.LastResultsHash), ValidatorsHash: hex.EncodeToString(b.ValidatorsHash),
			PartsTotal: id.PartSetHeader.Total, PartsHash: hex.EncodeToString(id.PartSetHeader.Hash),
			BlockBytesHash: hex.EncodeToString(sum(blockBytes)), LightBlock: hex.EncodeToString(lightBytes)}
		for _, tx := range blockTxs {
			// Long transactions are one byte repeated: that byte and the count.
			text := hex.EncodeToString(tx)
			if len(tx) > 1000 {
				text = fmt.Sprintf("%02x*%d", tx[0], len(tx))
			}
			entry.Txs = append(entry.Txs, text)
		}
		for _, r := range results {
			entry.Results = append(entry.Results, result{r.Code, hex.EncodeToString(r.Data), r.Log, r.GasWanted, r.GasUsed})
		}
		out.Blocks = append(out.Blocks, entry)

		results = []*abci.ExecTxResult{}
		for j := range blockTxs {
			results = append(results, &abci.ExecTxResult{
				Code: uint32(j), Data: []byte{byte(j)}, Log: "not hashed", GasWanted: int64(j), GasUsed: 5})
		}
		lastCommit, lastID, blockTime = commit, id, voteTime
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	check(encoder.Encode(out))
}

func newKey(seed []byte) ed25519.PrivKey {
	return ed25519.PrivKey(stded25519.NewKeyFromSeed(seed))
}

func sum(b []byte) []byte {
	hash := sha256.Sum256(b)
	return hash[:]
}
