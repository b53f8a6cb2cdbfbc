# Clusters of virtual machines by the names of targets that people know; all of it is `ai-how`'s.
#   CONFIG=FILE  another cluster.yaml      FORCE=1      neither ask nor wait
#   OUTPUT=FILE  where an inventory goes   GPU=, TO=    what is handed over, and to which machine
FORCED = $(if $(FORCE),--force)
AI_HOW = $(BIN)/ai-how
MARKED = $(BIN)/pytest -m

.PHONY: hpc-cluster-inventory hpc-cluster-start hpc-cluster-stop hpc-cluster-deploy \
  hpc-cluster-destroy hpc-cluster-status cloud-cluster-inventory cloud-cluster-start \
  cloud-cluster-stop cloud-cluster-deploy cloud-cluster-destroy cloud-cluster-status \
  cluster-inventory cluster-start cluster-stop cluster-deploy cluster-destroy cluster-status \
  system-start system-stop system-deploy system-status system-destroy switch-cluster \
  all-clusters-status validate-cloud-full validate-shared-gpu test-cloud-all \
  test-cloud-deployment test-cloud-kubernetes test-cloud-mlops test-cloud-inference

hpc-cluster-inventory: $(STAMP) ## Ansible's inventory of the HPC cluster
	@$(AI_HOW) inventory generate-hpc $(CONFIG) $(if $(OUTPUT),-o $(OUTPUT))

hpc-cluster-start: $(STAMP) ## start the HPC cluster
	@$(AI_HOW) hpc start $(CONFIG)

hpc-cluster-stop: $(STAMP) ## stop it
	@$(AI_HOW) hpc stop $(CONFIG) $(FORCED)

hpc-cluster-deploy: hpc-cluster-start ## the same as its start

hpc-cluster-destroy: $(STAMP) ## remove its machines with their disks
	@$(AI_HOW) hpc destroy $(CONFIG) $(FORCED)

hpc-cluster-status: $(STAMP) ## how its machines stand
	@$(AI_HOW) hpc status $(CONFIG)

cloud-cluster-inventory: $(STAMP) ## Kubespray's inventory of the cloud cluster
	@$(AI_HOW) inventory generate-k8s $(CONFIG) $(if $(OUTPUT),-o $(OUTPUT))

cloud-cluster-start: $(STAMP) ## start the cloud cluster
	@$(AI_HOW) cloud start $(CONFIG)

cloud-cluster-stop: $(STAMP) ## stop it
	@$(AI_HOW) cloud stop $(CONFIG) $(FORCED)

cloud-cluster-deploy: cloud-cluster-start ## the same as its start

cloud-cluster-destroy: $(STAMP) ## remove its machines with their disks
	@$(AI_HOW) cloud destroy $(CONFIG) $(FORCED)

cloud-cluster-status: $(STAMP) ## how its machines stand
	@$(AI_HOW) cloud status $(CONFIG)

cluster-inventory: hpc-cluster-inventory ## as hpc-cluster-inventory
cluster-start: hpc-cluster-start ## as hpc-cluster-start
cluster-stop: hpc-cluster-stop ## as hpc-cluster-stop
cluster-deploy: hpc-cluster-deploy ## as hpc-cluster-deploy
cluster-destroy: hpc-cluster-destroy ## as hpc-cluster-destroy
cluster-status: hpc-cluster-status ## as hpc-cluster-status

system-start: $(STAMP) ## start both clusters
	@$(AI_HOW) system start $(CONFIG)

system-stop: $(STAMP) ## stop both
	@$(AI_HOW) system stop $(CONFIG) $(FORCED)

system-deploy: system-start ## the same as their start

system-status: $(STAMP) ## how both stand
	@$(AI_HOW) system status $(CONFIG)

system-destroy: $(STAMP) ## remove both
	@$(AI_HOW) system destroy $(CONFIG) $(FORCED)

switch-cluster: $(STAMP) ## hand a GPU over: GPU=0000:01:00.0 TO=a machine of the other cluster
	@$(if $(and $(GPU),$(TO)),,$(error name GPU= and TO=))$(AI_HOW) $(if $(CONFIG),--cluster $(CONFIG)) gpu switch $(GPU) --to $(TO)

all-clusters-status: $(STAMP) ## clusters, machines and GPUs as a tree
	@$(AI_HOW) topology $(if $(CONFIG),--config $(CONFIG))

validate-cloud-full: $(STAMP) ## check the file, then this machine
	@$(AI_HOW) validate $(CONFIG)
	@$(AI_HOW) $(if $(CONFIG),--cluster $(CONFIG)) doctor

validate-shared-gpu: $(STAMP) ## what keeps machines from their GPUs
	@$(AI_HOW) $(if $(CONFIG),--cluster $(CONFIG)) gpu conflicts

test-cloud-all: test-cloud-deployment test-cloud-kubernetes test-cloud-mlops test-cloud-inference ## the four below

test-cloud-deployment: $(STAMP) ## machines: plans, boots, GPUs
	$(MARKED) "hypervisor or not hypervisor" tests/machines tests/resources/libvirt

test-cloud-kubernetes: $(STAMP) ## nodes, pods, the client
	$(MARKED) testbed tests/testbed tests/resources/kubernetes

test-cloud-mlops: $(STAMP) ## the S3 server, PostgreSQL, MLflow, charts
	$(MARKED) testbed tests/services tests/e2e/test_services.py

test-cloud-inference: $(STAMP) ## checkpoints served by KServe
	$(MARKED) testbed tests/resources/kserve tests/e2e/test_kserve.py tests/e2e/test_kserve_failures.py
