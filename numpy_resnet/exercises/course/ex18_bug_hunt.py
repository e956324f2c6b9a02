# %% [markdown]
# # 18. Bug hunt: one of 68 layers lies
#
# *Medium · 25 minutes*
#
# **Why.** A network of somebody else's learns badly. The forward is right; the gradient at the input is wrong, as
# differences show. Which layer is it? To check each one would do, and takes long: in a large network a single
# difference costs two whole forwards. But the layers stand in an order, and who can ask good questions needs few.
#
# **The case.** A ResNet-18 has one layer whose backward sends a wrong dx to its input. All others are right. You get
# the names of all `layers` in the order of the forward, and a function to ask:
#
# backward, measured = probe(name)
#
# It moves the input of that layer in some random direction, and returns two numbers: the slope of the loss as the
# network's own backward has it, and the slope that finite differences find. If all layers between this input and the
# loss are right, the two agree to about 1e-6 of their size; call it agreement up to 1e-4. Otherwise they clearly
# differ. For an `add` it is the first input that moves, the one from the main branch.
#
# **The price.** Two networks are to be solved: in one the bug is in a main branch, in the other in a shortcut. Up to 12
# probes for each are worth all the points, up to 24 some of them, more than that none. Which layer it is differs from
# student to student.
#
# **Bisection.** In a chain, a layer that *feels* the bug has it in itself or behind it; one that does not has it in
# front. So ask in the middle: half of the layers are cleared at once. Eight layers need three probes, 68 in a chain
# would need seven, as 2 to the 7 is 128. By hand, with the bug in e:
#
# | probe of | the numbers | suspects that are left |
# |----------|-------------|------------------------|
# |          |             | a b c d e f g h        |
# | e        | differ      | e f g h                |
# | g        | agree       | e f                    |
# | f        | agree       | e                      |
#
# **The twist.** A ResNet is no chain. Where a block begins, its input goes two ways:
#
# ```
#                     +-> conv1 -> bn1 -> relu1 -> conv2 -> bn2 -+
# last relu of the ---|                                          +-> add -> relu2 ---
# block in front      +-> downsample.0 -> downsample.1 ----------+
# ```
#
# (Where the shape stays, the lower way is empty.) A probe of `layer2.0.conv1` moves the input of this convolution
# *alone*; the shortcut sees the old one. Its path to the loss is the upper way, and it does not feel what is wrong in
# the lower. Nor does a layer below feel what is wrong above. In the list both come one after the other, as if they were
# a chain.
#
# **By hand, with a shortcut.** Eight layers: conv1; in the block `layer1.0` the main branch conv1, bn1, relu1, conv2
# and the shortcut downsample.0; then the block's add; and fc. The bug is in `layer1.0.downsample.0`. Plain bisection
# asks `layer1.0.conv2`, `layer1.0.bn1` and `layer1.0.conv1`, hears three times that the numbers agree, and arrests
# conv1, which is innocent. Four other questions find the bug:
#
# | probe of              | the numbers | what follows                                            |
# |-----------------------|-------------|---------------------------------------------------------|
# | layer1.0.add          | agree       | it is before the add: in conv1, or in one of the ways   |
# | layer1.0.bn1          | agree       | not in bn1, relu1, conv2                                |
# | layer1.0.conv1        | agree       | nowhere in the main branch                              |
# | layer1.0.downsample.0 | differ      | there it is: behind it on its way there is nothing left |
#
# So first look only at the layers that *everything* goes through. They do form a chain. Then go inside.

# %% [markdown]
# ## One answer, and a chain


# %%
def differs(probe, name):
    """Whether this layer feels the bug: whether backward and measured differ.   -> True or False, one probe"""
    # TODO: compare relative to their size; a NaN is a difference too
    ### BEGIN SOLUTION
    backward, measured = probe(name)
    return not abs(backward - measured) <= 1e-4 * max(abs(backward), abs(measured))
    ### END SOLUTION


def last_that_differs(probe, chain):
    """The last layer of a chain that feels the bug. Of the first it is known, and costs no probe.   -> its name"""
    # TODO: bisection
    ### BEGIN SOLUTION
    low, high = 0, len(chain)  # chain[low] feels it, chain[high] does not: behind the end there is nothing
    while high - low > 1:
        middle = (low + high) // 2
        if differs(probe, chain[middle]):
            low = middle
        else:
            high = middle
    return chain[low]
    ### END SOLUTION


# %% [markdown] derivation
# backward is sum(dx * direction) for the dx that arrives at the layer, measured is the same sum with the right dx. If
# the two dx differ, then so do the sums, unless the direction is by chance at a right angle to the difference. One
# number is thus enough to judge an array of thousands.
#
# In a chain the answers are: differ, differ, ..., differ, agree, ..., agree. Whatever is in front of the bug feels it,
# and so does the guilty layer itself, since its own backward lies between its input and the loss. So the guilty one is
# the *last* that differs. Bisection keeps one index where the answer is "differ", one where it is "agree", and halves
# the way between them until they are neighbours: n layers take log2(n) probes, rounded up.

# %% [markdown]
# ## The hunt
#
# The names say where a layer stands. What has no dot is outside of the blocks. Of a block, everything goes through
# `add` and `relu2`; with `downsample` in its name a layer is in the shortcut, and what remains is the main branch.


# %%
def trunk(layers):
    """The layers that everything goes through, in their order.   names -> some of them"""
    # TODO: those outside of the blocks, and of each block the last two
    ### BEGIN SOLUTION
    return [name for name in layers if "." not in name or name.endswith((".add", ".relu2"))]
    ### END SOLUTION


def find_bug(layers, probe):
    """The name of the layer whose backward is wrong, with few probes."""
    # TODO: the last of the trunk that differs; then the two ways between it and the next of the trunk
    ### BEGIN SOLUTION
    chain = trunk(layers)
    fork = last_that_differs(probe, chain)
    following = chain[chain.index(fork) + 1 :]
    end = layers.index(following[0]) if following else len(layers)
    inside = layers[layers.index(fork) + 1 : end]
    main = [name for name in inside if "downsample" not in name]
    shortcut = [name for name in inside if "downsample" in name]
    for branch in (main, shortcut):
        found = last_that_differs(probe, [fork, *branch])
        if found != fork:
            return found
    return fork
    ### END SOLUTION


# %% [markdown] derivation
# Let "fork" be the last layer of the trunk that feels the bug, and "next" the one that follows it in the trunk and does
# not. Behind "next" all is right. So the bug is in fork itself or between the two, and there are at most two ways. Each
# way, with fork in front of it, is again a chain whose first layer is known to feel the bug. If bisection of a way ends
# at fork, then the way is clean. If both are clean, fork itself is the one.
#
# The trunk of a ResNet-18 has 22 layers: conv1, bn1 and relu, an add and a relu2 in each of the eight blocks, avgpool,
# dropout and fc. Bisection takes 5 probes. Fork and the five layers of a main branch take 3, fork and the two of a
# shortcut 2. Together at most 10. Bisection of the plain list takes 7, and is right as long as the bug is not in a
# shortcut. If it is, the main branch agrees all the same, and since the shortcut stands behind it in the list, it is
# cleared for the wrong reason.

# %% [markdown] hints
# 1. A probe tells about a path, from the input of one layer to the loss, and about nothing beside it. Find a list of
#    layers in which each path contains the next one; there the answers are first "differ" and then "agree".
# 2. Keep low, which differs, and high, which agrees; ask (low + high) // 2 until high is low + 1. At the start low is
#    0, which you need not ask, and high is the length of the list. Do this three times: with the trunk, with the main
#    branch, with the shortcut, and put the fork in front of both branches.
# 3. `layers` is a list of 68 strings. The trunk has 22 of them; what stands in `layers` between two neighbours of the
#    trunk is nothing, or the 5 layers of a main branch, with the 2 of its shortcut behind them or not. find_bug returns
#    one string.

# %%
if __name__ == "__main__":  # the examples by hand: run this file

    def path(layers, name):
        """What lies between the input of a layer and the loss."""
        block = name.rpartition(".")[0]
        in_main_branch = name not in trunk(layers) and "downsample" not in name
        behind = layers[layers.index(name) :]
        return [n for n in behind if not (in_main_branch and n.startswith(f"{block}.downsample"))]

    def network_with_a_bug(layers, bug):
        """A probe as the exercise has it, without a network, and a list of what was asked."""
        asked = []

        def probe(name):
            asked.append(name)
            return (0.7, 0.5) if bug in path(layers, name) else (0.5, 0.5000001)

        return probe, asked

    probe, asked = network_with_a_bug(list("abcdefgh"), "e")
    assert last_that_differs(probe, list("abcdefgh")) == "e" and asked == ["e", "g", "f"]

    main = ["layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu1", "layer1.0.conv2"]
    layers = ["conv1", *main, "layer1.0.downsample.0", "layer1.0.add", "fc"]
    probe, asked = network_with_a_bug(layers, "layer1.0.downsample.0")
    assert last_that_differs(probe, layers) == "conv1" and asked == [main[3], main[1], main[0]]  # plain bisection
    asked.clear()
    assert find_bug(layers, probe) == "layer1.0.downsample.0"
    assert asked == ["layer1.0.add", "layer1.0.bn1", "layer1.0.conv1", "layer1.0.downsample.0"]
    for bug in layers:
        assert find_bug(layers, network_with_a_bug(layers, bug)[0]) == bug
    print("the examples by hand agree")
